// The bytes of vfio-user messages: what a client such as QEMU's vfio-user-pci sends to a device server, and what it
// wants back.
//
// Sources: QEMU docs/interop/vfio-user.rst and hw/vfio-user/protocol.h for header and commands, linux/vfio.h for the
// structures within. Words are in the byte order of the host, which for all hosts of these tests is little-endian.

/** What a message asks for. */
export enum Command {
  version = 1,
  dmaMap = 2,
  dmaUnmap = 3,
  deviceGetInfo = 4,
  deviceGetRegionInfo = 5,
  deviceGetIrqInfo = 7,
  deviceSetIrqs = 8,
  regionRead = 9,
  regionWrite = 10,
  dmaRead = 11,
  deviceReset = 13,
}

/** Indexes of regions, as in linux/vfio.h: BARs 0 to 5, ROM, configuration space, VGA. */
export enum RegionIndex {
  config = 7,
  count = 9,
}

/** Indexes of interrupts, as in linux/vfio.h: INTx, MSI, MSI-X, error, request. */
export enum IrqIndex {
  msix = 2,
  count = 5,
}

const headerBytes = 16;
const replyFlag = 0x01;
const typeMask = 0x0f;
const noReplyFlag = 0x10;
const errorFlag = 0x20;

const deviceFlags = { reset: 1, pci: 2 } as const;
const regionFlags = { read: 1, write: 2 } as const;
const irqFlags = { eventfd: 1, noResize: 8 } as const;

/** `errno` values that a reply may carry. */
export const errno = { EINVAL: 22, ENOTSUP: 95 } as const;

/** The largest access that a client may ask for at once. */
const largestTransfer = 1 << 20;

export interface Message {
  readonly id: number;
  readonly command: number;
  readonly wantsReply: boolean;
  /** It answers a request of the server's. */
  readonly isReply: boolean;
  readonly payload: Buffer;
}

/** What comes out of a stream as it arrives: whole messages, whichever way the stream was cut. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Message> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= headerBytes) {
      const size = this.#rest.readUInt32LE(4);
      if (size < headerBytes || size > largestTransfer + 4096) throw new RangeError(`a message of ${size} bytes`);
      if (this.#rest.length < size) return;
      const flags = this.#rest.readUInt32LE(8);
      const type = flags & typeMask;
      if (type > replyFlag) throw new RangeError(`flags 0x${flags.toString(16)} are no message's`);
      yield {
        id: this.#rest.readUInt16LE(0),
        command: this.#rest.readUInt16LE(2),
        wantsReply: type === 0 && (flags & noReplyFlag) === 0,
        isReply: type === replyFlag,
        payload: this.#rest.subarray(headerBytes, size),
      };
      this.#rest = this.#rest.subarray(size);
    }
  }
}

/** A reply with this payload. */
export function reply({ id, command }: Message, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([header(id, command, headerBytes + payload.length, replyFlag, 0), payload]);
}

/** Asks the client for memory of its guest, as the function would read it by DMA. */
export function dmaRead(id: number, address: bigint, length: bigint): Buffer {
  const payload = Buffer.alloc(16);
  payload.writeBigUInt64LE(address, 0);
  payload.writeBigUInt64LE(length, 8);
  return Buffer.concat([header(id, Command.dmaRead, headerBytes + payload.length, 0, 0), payload]);
}

/** A reply that says that the request failed. */
export function refusal({ id, command }: Message, error: number): Buffer {
  return header(id, command, headerBytes, replyFlag | errorFlag, error);
}

function header(id: number, command: number, size: number, flags: number, error: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt16LE(id, 0);
  bytes.writeUInt16LE(command, 2);
  bytes.writeUInt32LE(size, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(error, 12);
  return bytes;
}

/** Protocol 0.0, which is what QEMU proposes, and text that ends with a zero byte, which is what QEMU wants. */
export function version(): Buffer {
  const capabilities = { max_msg_fds: 8, max_data_xfer_size: largestTransfer };
  return Buffer.concat([Buffer.alloc(4), Buffer.from(`${JSON.stringify({ capabilities })}\0`)]);
}

/** struct vfio_device_info of a PCI function that can be reset. */
export function deviceInfo(): Buffer {
  return words(16, deviceFlags.reset | deviceFlags.pci, RegionIndex.count, IrqIndex.count);
}

/** struct vfio_region_info: read and write, nothing to map. */
export function regionInfo(index: number, size: bigint): Buffer {
  const info = Buffer.alloc(32);
  words(32, size > 0n ? regionFlags.read | regionFlags.write : 0, index).copy(info);
  info.writeBigUInt64LE(size, 16);
  return info;
}

/** struct vfio_irq_info. */
export function irqInfo(index: number, count: number): Buffer {
  return words(16, count > 0 ? irqFlags.eventfd | irqFlags.noResize : 0, index, count);
}

/** The third word of the request for a region's or an interrupt's properties. */
export function wantedIndex(payload: Buffer): number {
  return payload.readUInt32LE(8);
}

const accessBytes = 16;

/** What a request to read or to write a region says; `data` is empty for a read. */
export interface RegionAccess {
  readonly offset: bigint;
  readonly region: number;
  readonly length: number;
  readonly data: Buffer;
}

export function regionAccess(payload: Buffer): RegionAccess {
  return {
    offset: payload.readBigUInt64LE(0),
    region: payload.readUInt32LE(8),
    length: payload.readUInt32LE(12),
    data: payload.subarray(accessBytes),
  };
}

/** The answer to a read carries the bytes; the answer to a write is its first 16 bytes. */
export function regionAnswer(payload: Buffer, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([payload.subarray(0, accessBytes), data]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4);
  });
  return bytes;
}
