// What the guest stores where, so that the host can look whether it arrived.

export interface Transfer {
  readonly offset: number;
  readonly length: number;
  /** Of the pattern. */
  readonly seed: number;
  /** Whether it goes out in store blocks. */
  readonly blocks: boolean;
}

/** On BAR 0 of the ISM function. Each has a stretch of the 256 TiB to itself. */
export const ismTransfers = {
  /** From within one page into the fourth: planned as blocks of up to 128 bytes that end where pages do. */
  write: { offset: 0x1_0000_0f98, length: 12_424, seed: 1, blocks: true },
  /** Words, one queued store each, neighbours merged. */
  merged: { offset: 0x2_0000_0000, length: 8192, seed: 2, blocks: true },
  /** The same on the queue's own thread. */
  drained: { offset: 0x3_0000_0000, length: 8192, seed: 3, blocks: true },
  /** Near the end: an offset that needs all 48 bits. */
  end: { offset: 2 ** 48 - 256, length: 128, seed: 4, blocks: true },
} as const satisfies Record<string, Transfer>;

/** On BAR 0 of the function that is reset meanwhile: long enough to be under way for a while. */
export const resetBatch: Transfer = { offset: 0x4_0000_0000, length: 1 << 19, seed: 9, blocks: true };

/** On BAR 0 of the plain function. */
export const plainTransfers = {
  /** One pwrite, which vfio-pci cuts into stores. */
  pwrite: { offset: 0x1000, length: 128, seed: 5, blocks: false },
  /** Any length and alignment: vfio-pci takes it. */
  odd: { offset: 0x1801, length: 331, seed: 6, blocks: false },
  /** Through a mapping and the system call for it. */
  mapped: { offset: 0x2000, length: 4096, seed: 7, blocks: true },
  /** Through sysfs, and the system call: across two pages. */
  resource: { offset: 0x4f80, length: 8192, seed: 8, blocks: true },
} as const satisfies Record<string, Transfer>;

/**
 * What a store block is when it reaches the server, and so what is read back: QEMU (11.1) on a little-endian host takes
 * each 8-byte word of a PCISTB for a number of the big-endian guest, and hands its bytes over in its own order, last to
 * first. Single loads and stores keep their order. On IBM Z there is nobody between the block and the function; nothing
 * is reversed.
 */
export function asBlocksArrive(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes, (_, i) => bytes[i ^ 7] as number);
}
