// A device as the program sees it that defined it.
import { EventEmitter } from 'node:events';
import { native } from '../addon/binding.js';
import type { FunctionHandle } from '../addon/handles.js';
import { checkBetween, checkFlag, checkWord } from '../support/check.js';
import { hex, IsmioError, rangeError, shown, systemError, typeError } from '../support/errors.js';
import { ofThisThread } from '../support/thread.js';
import type { VfioDevice } from '../vfio/device.js';
import { checkDescription } from './check.js';
import type { DeviceDescription } from './description.js';
import { DeviceFunction, irqIndex, type RefusedWrite } from './function.js';
import { openFunction } from './open.js';
import { type DeviceState, restoreFunction, saveFunction } from './state.js';

/** What a device emits. */
export interface DeviceEvents {
  /** A driver has opened it. */
  open: [];
  /** The driver has closed it, or has gone. */
  close: [];
  /** The driver has reset it; `reset` of its description was called before. */
  reset: [];
  /**
   * A posted write of its driver was refused: by a handler that threw, or because there is none. The driver is told nothing; it sees
   * the error bits of the status register.
   */
  refused: [RefusedWrite];
  /** A handler threw this, or gave a value that is none. The access was refused with condition code 1. */
  error: [Error];
}

/** What a device reads and writes by itself: its driver's memory, by the bus addresses at which that mapped it. */
export class DeviceDma {
  readonly #function: DeviceFunction;

  /** @internal */
  constructor(device: DeviceFunction) {
    this.#function = device;
  }

  /**
   * Fills `target` from bus address `iova` on.
   * @throws IsmioError ERR_ISMIO_DMA: EFAULT where something of it is not mapped, EACCES where the device may not read it,
   * EPERM where it is no bus master
   */
  read(iova: bigint, target: Uint8Array): void {
    this.#moved('read', iova, target, native.devices.read(this.#handle(iova, target), iova, target));
  }

  /** Writes `source` to bus address `iova` and on. @throws IsmioError as `read` does */
  write(iova: bigint, source: Uint8Array): void {
    this.#moved('write', iova, source, native.devices.write(this.#handle(iova, source), iova, source));
  }

  /**
   * The driver's memory itself, where it is mapped in this process, in one piece, to be read and written; else null: `read` and
   * `write` reach it all the same. It stays what it is when the driver unmaps it, as a device's own copy of an address would.
   */
  view(iova: bigint, length: number): Uint8Array | null {
    const whole = checkBetween(length, 'length', 1, 2 ** 32);
    const seen = native.devices.view(this.#handle(iova, new Uint8Array(0)), iova, whole);
    return seen === undefined ? null : new Uint8Array(seen);
  }

  #handle(iova: bigint, bytes: Uint8Array): FunctionHandle {
    if (typeof iova !== 'bigint') {
      throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `iova must be a bigint, not ${shown(iova)}`, { iova });
    }
    if (!(bytes instanceof Uint8Array)) {
      throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `DMA moves a Uint8Array, not ${shown(bytes)}`, { bytes });
    }
    if (iova < 0n || iova >= 2n ** 64n) {
      throw rangeError('ERR_ISMIO_OPTION', `iova must be from 0n to 2n ** 64n - 1n, not ${shown(iova)}`, { iova });
    }
    return this.#function.handle;
  }

  #moved(what: string, iova: bigint, { length }: Uint8Array, errno: number): void {
    if (errno === 0) return;
    this.#function.configuration.failed();
    const cause = systemError(errno, what);
    const text = `DMA ${what} of ${length} bytes at bus address ${hex(iova)} by ${this.#function.description.name} failed: ${cause.code}`;
    throw new IsmioError('ERR_ISMIO_DMA', text, { iova, length, errno: cause.code }, cause);
  }
}

/** The function behind a device. */
export let functionOf: (device: Device) => DeviceFunction;

/**
 * Made by `defineDevice`. It belongs to the thread that defined it, which runs its handlers; drivers may use it from others.
 */
export class Device extends EventEmitter<DeviceEvents> {
  /** A symbol: with it, posting a device to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** What messages call it. */
  readonly name: string;
  /** The driver's memory. */
  readonly dma: DeviceDma;
  readonly #function: DeviceFunction;

  static {
    functionOf = (device) => device.#function;
  }

  /** @internal */
  constructor(description: DeviceDescription) {
    super();
    this.#function = new DeviceFunction(checkDescription(description), {
      opened: () => this.emit('open'),
      closed: () => this.emit('close'),
      reset: () => this.emit('reset'),
      refused: (write) => this.emit('refused', write),
      threw: (error) => this.#threw(error),
    });
    this.name = this.#function.description.name;
    this.dma = new DeviceDma(this.#function);
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#function.closed;
  }

  /** How many posted writes of its drivers it has refused: each is an event 'refused' as well. */
  get refusedWrites(): number {
    return this.#function.refused;
  }

  /**
   * Signals a vector once. What the driver has not enabled, and while the device is no bus master, is held back (`pending`), and
   * signalled once when that is over.
   */
  interrupt(kind: 'msi' | 'msix', vector = 0): void {
    const irq = irqIndex[checkWord(kind, 'kind', ['msi', 'msix'])];
    native.devices.raise(this.#function.handle, irq, checkBetween(vector, 'vector', 0, this.#vectors(kind) - 1));
  }

  /** Raises INTx, or lets it go: a level, which the driver is told again when it unmasks it while it is up. */
  level(up: boolean): void {
    if (!this.#function.description.intx) throw this.#without('intx');
    this.#function.configuration.interruptStatus(checkFlag(up, 'up'));
    native.devices.level(this.#function.handle, up);
  }

  /**
   * Whether the driver has set up a vector, or INTx: a function that can raise several kinds of interrupts raises the one that
   * its driver has enabled.
   */
  enabled(kind: 'intx' | 'msi' | 'msix', vector = 0): boolean {
    const irq = irqIndex[checkWord(kind, 'kind', ['intx', 'msi', 'msix'])];
    const vectors = kind === 'intx' ? Number(this.#function.description.intx) : this.#vectors(kind);
    if (vectors === 0) throw this.#without(kind);
    return native.devices.enabled(this.#function.handle, irq, checkBetween(vector, 'vector', 0, vectors - 1));
  }

  /** Whether a vector is held back. */
  pending(kind: 'msi' | 'msix', vector = 0): boolean {
    const irq = irqIndex[checkWord(kind, 'kind', ['msi', 'msix'])];
    return native.devices.pending(
      this.#function.handle,
      irq,
      checkBetween(vector, 'vector', 0, this.#vectors(kind) - 1),
    );
  }

  /**
   * Opens it as its driver, in this process: the same as `openVfio` gives.
   * @throws IsmioError ERR_ISMIO_DEVICE_BUSY where somebody has it open, ERR_ISMIO_CLOSED
   */
  open(): VfioDevice {
    return openFunction(this.#function);
  }

  /**
   * All that the device is at this moment, as plain data: configuration space, the MSI-X table, vectors that are held back, memory
   * of BARs, and what `saveState` of its description gives. What its driver set up (DMA mappings, eventfds) is the driver's, and
   * accesses that a promise has yet to answer are not in it.
   */
  save(): DeviceState {
    return saveFunction(this.#function);
  }

  /**
   * Makes it what another of the same description was when that was saved, before its driver opens it.
   * @throws IsmioError ERR_ISMIO_STATE, with what is wrong about the state, of which nothing was taken then;
   * ERR_ISMIO_DEVICE_BUSY where somebody has it open, ERR_ISMIO_CLOSED
   */
  restore(state: DeviceState): void {
    this.#function.alone(() => restoreFunction(this.#function, state));
  }

  /** Takes it away: accesses to it fail with ERR_ISMIO_REGION_LOST, and the driver's 'req' interrupt is signalled. */
  close(): void {
    this.#function.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #vectors(kind: 'msi' | 'msix'): number {
    const { msi, msix } = this.#function.description;
    const vectors = kind === 'msi' ? msi : (msix?.vectors ?? 0);
    if (vectors === 0) throw this.#without(kind);
    return vectors;
  }

  #without(kind: string): Error {
    return rangeError('ERR_ISMIO_OPTION', `${this.name} has no interrupts ${kind}; its description gives them`, {
      kind,
    });
  }

  /** An error that nobody listens for is a warning of the process: the driver has its own, and goes on. */
  #threw(error: unknown): void {
    const thrown = error instanceof Error ? error : new Error(`a handler threw ${shown(error)}`);
    if (this.listenerCount('error') > 0) this.emit('error', thrown);
    else process.emitWarning(`${this.name}: ${thrown.stack ?? thrown.message}`, { code: 'ISMIO_HANDLER' });
  }
}

/**
 * Describes a PCI function once: its driver opens it in this process (`device.open()`), in another one, or in a guest (`serve`).
 * @throws RangeError ERR_ISMIO_OPTION, with what is wrong about the description
 */
export function defineDevice(description: DeviceDescription): Device {
  return new Device(description);
}
