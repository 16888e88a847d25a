// The messages of vfio-user that are written here, in words of this machine's byte order; native/vfio-user/wire.h has them all.
// Source: docs/vfio-user.rst of libvfio-user.
import { endianness } from 'node:os';

/** The numbers of commands, those of `enum class Command` in native/vfio-user/wire.h. */
export const command = {
  version: 1,
  deviceGetInfo: 4,
  deviceGetRegionInfo: 5,
  deviceGetIrqInfo: 7,
  deviceSetIrqs: 8,
  regionRead: 9,
  regionWrite: 10,
  deviceReset: 13,
} as const;

/** What this side takes, and what is taken where the other side says nothing. */
export const own = { major: 0, minor: 1, messageDescriptors: 16, transfer: 1 << 20, mappings: 65535 } as const;
export const unsaid = { messageDescriptors: 1, transfer: 1 << 20, mappings: 65535 } as const;

const little = endianness() === 'LE';

/** A struct of 32-bit words. */
export function words(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value, little);
  return new Uint8Array(view.buffer);
}

/** What an access to a region begins with, and the bytes behind it. */
export function access(
  region: number,
  offset: bigint,
  count: number,
  bytes: Uint8Array = new Uint8Array(),
): Uint8Array {
  const message = new Uint8Array(16 + bytes.length);
  const view = new DataView(message.buffer);
  view.setBigUint64(0, offset, little);
  view.setUint32(8, region, little);
  view.setUint32(12, count, little);
  message.set(bytes, 16);
  return message;
}

export function wordAt(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, little);
}

export function halfAt(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(offset, little);
}

export function wideAt(bytes: Uint8Array, offset: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(offset, little);
}

/** A version, and its text, which ends in a NUL. */
export function version(major: number, minor: number, text: string): Uint8Array {
  const bytes = Buffer.from(`${text}\0`);
  const message = new Uint8Array(4 + bytes.length);
  const view = new DataView(message.buffer);
  view.setUint16(0, major, little);
  view.setUint16(2, minor, little);
  message.set(bytes, 4);
  return message;
}
