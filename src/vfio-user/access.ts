// What VFIO asks of a device, as messages to its server. Structs in replies are those of <linux/vfio.h>.
import { constants } from 'node:os';
import { native } from '../addon/binding.js';
import type { RegionHandle } from '../addon/handles.js';
import type { RuleArguments } from '../addon/regions.js';
import { type IsmioError, rangeError } from '../support/errors.js';
import type { DeviceAccess, DeviceCalls, Lent, Pinned, RegionRequest } from '../vfio/access.js';
import type { FunctionIds } from '../vfio/info.js';
import { IovaSpace } from '../vfio/iova.js';
import { configIndex, irqSet, kernel } from '../vfio/kernel.js';
import type { Connection } from './connection.js';
import { access, command, wideAt, wordAt, words } from './messages.js';
import type { Limits } from './version.js';

const { errno } = constants;
/** All addresses there are. */
const addresses = { first: 0n, last: 2n ** 64n - 1n } as const;
/** The header of configuration space (PCI Local Bus Specification 3.0, 6.1). */
const header = { length: 64, vendor: 0, device: 2, classCode: 9, subsystemVendor: 0x2c, subsystem: 0x2e } as const;

export class VfioUserAccess implements DeviceAccess, DeviceCalls {
  readonly api = 'vfio-user';
  readonly calls: DeviceCalls = this;
  readonly mapCall = 'VFIO_USER_DMA_MAP';
  readonly unmapCall = 'VFIO_USER_DMA_UNMAP';
  readonly space = new IovaSpace([addresses], kernel.pageSize);
  readonly #connection: Connection;
  readonly #limits: Limits;
  readonly #posted: boolean;
  #mappings = 0;
  /** Where configuration space begins in what the server takes for the device's file. */
  #config = 0n;

  constructor(connection: Connection, limits: Limits, posted: boolean) {
    this.#connection = connection;
    this.#limits = limits;
    this.#posted = posted;
  }

  /** What the function says of itself; null where it has no configuration space. */
  ids(): FunctionIds {
    const bytes = new Uint8Array(header.length);
    const there =
      this.regionInfo(configIndex, new Uint8Array(32)) >= 0 && this.pread(this.#config, bytes) === header.length;
    const view = new DataView(bytes.buffer); // little-endian, as all of configuration space
    const at = (offset: number) => (there ? view.getUint16(offset, true) : null);
    return {
      driver: 'vfio-user',
      vendor: at(header.vendor),
      device: at(header.device),
      subsystemVendor: at(header.subsystemVendor),
      subsystemDevice: at(header.subsystem),
      classCode: there ? view.getUint32(header.classCode - 1, true) >>> 8 : null,
      iommuGroup: null,
    };
  }

  deviceInfo(into: Uint8Array): number {
    return this.#struct(command.deviceGetInfo, words(into.length, 0, 0, 0), into);
  }

  regionInfo(index: number, into: Uint8Array): number {
    const answer = this.#struct(command.deviceGetRegionInfo, words(into.length, 0, index, 0, 0, 0, 0, 0), into);
    if (index === configIndex && answer >= 0) this.#config = wideAt(into, 24);
    return answer;
  }

  irqInfo(index: number, into: Uint8Array): number {
    return this.#struct(command.deviceGetIrqInfo, words(into.length, 0, index, 0), into);
  }

  /** Eventfds go with as many messages as it takes; vectors that are to have none have a message without descriptors. */
  setIrqs(flags: number, index: number, start: number, count: number, eventfds: Int32Array | null): number {
    if (eventfds === null) return this.#setIrqs(flags, index, start, count, null);
    let done = 0;
    while (done < count) {
      const run = this.#runOf(eventfds.subarray(done, count));
      if (run.length === 0) return -errno.ENOTSUP;
      const none = (run[0] as number) < 0;
      const answer = this.#setIrqs(flags, index, start + done, run.length, none ? null : run);
      if (answer < 0) {
        if (done > 0) this.#setIrqs(flags, index, start, done, null);
        return answer;
      }
      done += run.length;
    }
    return 0;
  }

  reset(): number {
    return this.#answered(this.#connection.call(command.deviceReset, new Uint8Array(), new Uint8Array()));
  }

  pread(position: bigint, target: Uint8Array): number {
    const offset = position - this.#config;
    const reply = new Uint8Array(16 + target.length);
    const answer = this.#call(command.regionRead, access(configIndex, offset, target.length), reply);
    if (answer < 0) return answer;
    const length = this.#accessed(reply.subarray(0, answer), offset, target.length);
    if (length >= 0 && answer !== 16 + length) return -errno.EPROTO;
    if (length > 0) target.set(reply.subarray(16, 16 + length));
    return length;
  }

  pwrite(position: bigint, source: Uint8Array): number {
    const offset = position - this.#config;
    const reply = new Uint8Array(16);
    const answer = this.#call(command.regionWrite, access(configIndex, offset, source.length, source), reply);
    return answer < 0 ? answer : this.#accessed(reply.subarray(0, answer), offset, source.length);
  }

  region(
    { index, size, writable, burst, posted, areas }: RegionRequest,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number } {
    const [maxStoreBlock] = rest;
    const { transfer } = this.#limits;
    if (maxStoreBlock > transfer) {
      const text = `${this.#connection.path}: the server takes ${transfer} bytes at once, so rules.maxStoreBlock can be at most that, not ${maxStoreBlock}`;
      throw rangeError('ERR_ISMIO_OPTION', text, { maxStoreBlock, transfer });
    }
    const { handle } = this.#connection;
    const isPosted = posted ?? this.#posted;
    const made = native.connections.region(handle, index, size, writable, burst, isPosted, areas, ...rest);
    if (typeof made !== 'number') this.#answered(-made.errno);
    return made;
  }

  lane(token: bigint, ...rest: [...RuleArguments, name: string]): Lent | { call: string; errno: number } {
    const made = native.lanes.open(this.#connection.handle, token, ...rest);
    if ('errno' in made) this.#answered(-made.errno);
    return made;
  }

  map(iova: bigint, pinned: Pinned, readable: boolean, writable: boolean): number {
    if (this.#mappings >= this.#limits.mappings) return -errno.ENOSPC;
    const { handle } = this.#connection;
    const answer = native.connections.mapDma(handle, iova, ...pinned, readable, writable);
    if (answer >= 0) this.#mappings++;
    return answer;
  }

  unmap(iova: bigint, length: number): number {
    const answer = native.connections.unmapDma(this.#connection.handle, iova, length);
    if (answer >= 0) this.#mappings--;
    return answer;
  }

  whenLost(told: (error: IsmioError) => void): void {
    this.#connection.whenLost(told);
  }

  close(): void {
    this.#connection.close();
  }

  /** Descriptors that go together: all of them eventfds, as many as one message takes, or all of them none. */
  #runOf(eventfds: Int32Array): Int32Array {
    const none = (eventfds[0] as number) < 0;
    const end = eventfds.findIndex((eventfd) => eventfd < 0 !== none);
    const length = end < 0 ? eventfds.length : end;
    return eventfds.subarray(0, none ? length : Math.min(length, this.#limits.messageDescriptors));
  }

  #setIrqs(flags: number, index: number, start: number, count: number, eventfds: Int32Array | null): number {
    const message = words(20, flags & ~irqSet.bool, index, start, count);
    return this.#answered(this.#connection.call(command.deviceSetIrqs, message, new Uint8Array(), eventfds));
  }

  /** A struct that begins with how long it would have to be for all. */
  #struct(what: number, request: Uint8Array, into: Uint8Array): number {
    const answer = this.#call(what, request, into);
    if (answer < 0) return answer;
    return answer < request.length ? -errno.EPROTO : Math.max(answer, wordAt(into, 0));
  }

  /** How much of an access was made, as its reply says. */
  #accessed(reply: Uint8Array, offset: bigint, asked: number): number {
    if (reply.length < 16 || wideAt(reply, 0) !== offset || wordAt(reply, 8) !== configIndex) return -errno.EPROTO;
    const count = wordAt(reply, 12);
    return count > asked ? -errno.EPROTO : count;
  }

  #call(what: number, payload: Uint8Array, reply: Uint8Array): number {
    return this.#answered(this.#connection.call(what, payload, reply));
  }

  /** @throws IsmioError ERR_ISMIO_REGION_LOST where the server is lost */
  #answered(answer: number): number {
    if (answer === -errno.ENODEV && this.#connection.lost !== null) throw this.#connection.error();
    return answer;
  }
}
