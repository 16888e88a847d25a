// One PCI function behind VFIO: its regions, configuration space, interrupts, DMA. What is open is closed with it.
import { EventEmitter } from 'node:events';
import { constants } from 'node:os';
import { checkRules, ruleArguments } from '../access/rules.js';
import type { BellHandle } from '../addon/handles.js';
import { adopt, type Region } from '../region/region.js';
import { checkFlag } from '../support/check.js';
import { hex, IsmioError, isIsmioError, rangeError, shown } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';
import type { DeviceAccess, DeviceApi, DeviceCalls } from './access.js';
import { ConfigSpace } from './config.js';
import { type DmaMapping, DmaMappings, type DmaOptions } from './dma.js';
import { checked } from './failure.js';
import { type FunctionIds, readDevice, readIrqs, readRegions, type VfioDeviceInfo } from './info.js';
import type { IovaRange } from './iova.js';
import { type IrqName, VfioIrq } from './irq.js';
import { configIndex } from './kernel.js';
import type { PciDevice } from './pci-device.js';
import { openRegion, type VfioRegionOptions } from './region.js';
import { readErrorReports, type ZpciErrorReport } from './zpci-errors.js';

/** Bits of the command register (PCI Local Bus Specification 3.0, 6.2.2). */
const command = { offset: 4, memory: 2, busMaster: 4 } as const;

/** Devices that nobody holds any more: their descriptors are closed. */
const abandoned = new FinalizationRegistry<DeviceAccess>((access) => access.close());

/** A region, and a buffer that is mapped, keeps its device from being taken for abandoned. */
const owners = new WeakMap<Region | DmaMapping, VfioDevice>();

/**
 * Made by `openVfio`, `openVfioUser` and `device.open()`. Everything of it throws `ERR_ISMIO_CLOSED` after `close`. One that
 * `openVfioUser` made emits 'lost', with the error that everything of it throws from then on, when its server is lost.
 */
export class VfioDevice extends EventEmitter<{ lost: [IsmioError] }> implements PciDevice {
  /** A symbol: with it, posting a device to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** Its address: domain:bus:device.function, such as '0000:00:04.0'. Where it has none, its name. */
  readonly bdf: string;
  /**
   * How it was opened. 'group': /dev/vfio/N. 'cdev': /dev/vfio/devices/vfioN. 'vfio-user': over a socket. 'device': a device of
   * this process.
   */
  readonly api: DeviceApi;
  /** What the kernel and sysfs said of it when it was opened. */
  readonly info: VfioDeviceInfo;
  readonly #access: DeviceAccess;
  readonly #dma: DmaMappings;
  readonly #regions = new Set<WeakRef<Region>>();
  readonly #irqs = new Map<string, VfioIrq>();
  #config: ConfigSpace | null = null;
  #closed = false;

  /** @internal */
  constructor(access: DeviceAccess, bdf: string, ids: FunctionIds) {
    super();
    this.bdf = bdf;
    this.api = access.api;
    this.#access = access;
    const { flags, regions, irqs, zpci } = readDevice(access.calls, bdf);
    this.info = Object.freeze({
      ...ids,
      flags,
      zpci,
      regions: Object.freeze(readRegions(access.calls, bdf, regions)),
      irqs: Object.freeze(readIrqs(access.calls, bdf, irqs)),
    });
    this.#dma = new DmaMappings(access, bdf);
    abandoned.register(this, access, this);
    const self = new WeakRef(this);
    access.whenLost?.((error) => {
      const device = self.deref();
      if (device !== undefined) device.#lose(error);
    });
  }

  /** What messages call it: its address, its socket, or the name of its description. */
  get name(): string {
    return this.bdf;
  }

  /** Whether `close` was called on the device. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Region `index`, as `info.regions` has it: 0 to 5 are the BARs. Each call opens another handle. */
  region(index: number, options: VfioRegionOptions = {}): Region {
    return this.#own(openRegion(this.#calls(), this.bdf, this.info, index, options));
  }

  /** It is closed with the device. */
  #own(region: Region): Region {
    for (const known of this.#regions) if (known.deref()?.closed !== false) this.#regions.delete(known);
    this.#regions.add(new WeakRef(region));
    owners.set(region, this);
    return region;
  }

  /** @internal Memory that the server of an ISM function lends, in its place of a fabric. */
  lane(token: bigint): { region: Region; bell: BellHandle } | { call: string; errno: number } {
    const name = `${this.bdf} lane ${hex(token)}`;
    const lent = this.#calls().lane?.(token, ...ruleArguments(checkRules({})), name) ?? {
      call: 'lane',
      errno: constants.errno.ENOSYS,
    };
    return 'errno' in lent ? lent : { region: this.#own(adopt(lent.region, true)), bell: lent.bell };
  }

  /** The configuration space of the function, read and written by width. */
  get config(): ConfigSpace {
    if (this.#config !== null) return this.#config;
    const info = this.info.regions.find(({ index }) => index === configIndex);
    if (info === undefined) {
      throw new IsmioError('ERR_ISMIO_VFIO', `${this.bdf} has no configuration space: it is no PCI function`, {
        bdf: this.bdf,
      });
    }
    this.#config = new ConfigSpace(() => this.#calls(), info, this.bdf);
    return this.#config;
  }

  /** Whether the function decodes its BARs' memory. Off, accesses are refused and mappings lost. */
  get memory(): boolean {
    return (this.config.read16(command.offset) & command.memory) !== 0;
  }

  /** Switches on or off whether the function decodes its BARs’ memory. */
  enableMemory(on = true): void {
    this.#command(command.memory, checkFlag(on, 'on'));
  }

  /** Whether the function may read and write memory, and send MSIs. */
  get busMaster(): boolean {
    return (this.config.read16(command.offset) & command.busMaster) !== 0;
  }

  /** Switches on or off whether the function may read and write memory, and send MSIs. */
  enableBusMaster(on = true): void {
    this.#command(command.busMaster, checkFlag(on, 'on'));
  }

  /** The interrupts of one kind. The same object each time. */
  irq(name: IrqName): VfioIrq {
    this.#calls();
    const known = this.#irqs.get(name);
    if (known !== undefined) return known;
    const info = this.info.irqs.find((irq) => irq.name === name);
    if (info === undefined) {
      const there = this.info.irqs.map((irq) => irq.name).join(', ') || 'none';
      throw rangeError('ERR_ISMIO_OPTION', `${this.bdf} has no interrupts ${shown(name)}; it has ${there}`, {
        irq: name,
      });
    }
    const irq = new VfioIrq(() => this.#calls(), info, this.bdf);
    this.#irqs.set(name, irq);
    return irq;
  }

  /** The bus addresses that the IOMMU translates for this device. */
  get iovaRanges(): readonly IovaRange[] {
    this.#calls();
    return this.#access.space.ranges;
  }

  /**
   * Lets the device read and write a buffer of `allocBuffer`. Its pages are pinned until `unmap` or `close`.
   * @throws IsmioError ERR_ISMIO_DMA_LIMIT when there may be no more, ERR_ISMIO_VFIO
   */
  dmaMap(buffer: Uint8Array, options: DmaOptions = {}): DmaMapping {
    this.#calls();
    const mapping = this.#dma.map(buffer, options);
    owners.set(mapping, this);
    return mapping;
  }

  /**
   * What the firmware of IBM Z told of errors of this function since the last time, the oldest first: the interrupt 'err' comes
   * with them. A function in error answers nothing until it was reset. Empty where none is pending, and where the kernel tells
   * none (before Linux 7.3, and on other machines).
   * @throws IsmioError ERR_ISMIO_VFIO
   */
  errorReports(): ZpciErrorReport[] {
    return readErrorReports(this.#calls(), this.bdf, this.info.zpci);
  }

  /**
   * Resets the function, by a function-level reset or whatever it has; `info.flags.reset` says whether it has one. What the
   * function holds is gone; configuration space (BARs, command register), enabled interrupts and DMA mappings are as before.
   * @throws IsmioError ERR_ISMIO_VFIO when it has no reset, or the kernel refuses
   */
  reset(): void {
    checked('VFIO_DEVICE_RESET', this.#calls().reset(), this.bdf, { bdf: this.bdf });
  }

  /**
   * Closes its regions, takes bus mastering from the function, disables its interrupts, unmaps its DMA and lets go of it: in
   * this order, so that the function has stopped reading and writing memory before its buffers are taken away. Once. Where the
   * kernel refuses a part of it, the rest is done all the same. Of a device that is lost nothing is asked.
   * @throws IsmioError ERR_ISMIO_VFIO what the kernel refused; several refusals are an AggregateError in `cause`
   */
  close(): void {
    if (this.#closed) return;
    const refusals: IsmioError[] = [];
    const attempt = (part: () => void) => {
      try {
        part();
      } catch (error) {
        if (!isIsmioError(error, 'ERR_ISMIO_REGION_LOST')) refusals.push(error as IsmioError);
      }
    };
    for (const region of this.#regions) region.deref()?.close();
    attempt(() => this.#stopMastering());
    for (const irq of this.#irqs.values()) attempt(() => irq.end());
    for (const mapping of this.#dma.mappings) attempt(() => mapping.unmap());
    this.#closed = true;
    this.#dma.end();
    abandoned.unregister(this);
    this.#access.close();
    if (refusals.length > 0) throw refusedClosing(this.bdf, refusals);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** What waits for interrupts ends: none comes any more. */
  #lose(error: IsmioError): void {
    for (const irq of this.#irqs.values()) irq.lose();
    this.emit('lost', error);
  }

  #calls(): DeviceCalls {
    if (!this.#closed) return this.#access.calls;
    throw new IsmioError('ERR_ISMIO_CLOSED', `device ${this.bdf} is closed`, { bdf: this.bdf });
  }

  /** A function that is no bus master already is left as it is, and so is a device that is no PCI function. */
  #stopMastering(): void {
    if (this.info.regions.some(({ index }) => index === configIndex) && this.busMaster) this.enableBusMaster(false);
  }

  #command(bit: number, on: boolean): void {
    const now = this.config.read16(command.offset);
    this.config.write16(command.offset, on ? now | bit : now & ~bit);
  }
}

/** The one refusal, or the first with all of them: none is told in place of another. */
function refusedClosing(bdf: string, refusals: readonly IsmioError[]): IsmioError {
  const [first] = refusals as [IsmioError];
  if (refusals.length === 1) return first;
  const told = refusals.map(({ message }) => message).join('; ');
  const { call, errno } = first;
  const text = `${bdf} is closed, but the kernel refused ${refusals.length} parts of it: ${told}`;
  return new IsmioError(
    first.code,
    text,
    { bdf, call, ...(errno === undefined ? {} : { errno }) },
    new AggregateError(refusals, text),
  );
}
