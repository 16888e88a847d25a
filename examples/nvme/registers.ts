// What NVM Express calls its registers, commands and fields. Source: NVM Express Base Specification 1.4; the number of the
// section stands behind each.

/** Offsets in BAR 0 (3.1). */
export const register = {
  capabilities: 0x00,
  version: 0x08,
  /** Of interrupts by pin and MSI. */
  interruptMaskSet: 0x0c,
  configuration: 0x14,
  status: 0x1c,
  adminQueueAttributes: 0x24,
  adminSubmissionQueue: 0x28,
  adminCompletionQueue: 0x30,
  doorbells: 0x1000,
} as const;

/** Controller configuration, CC (3.1.5): entries of 2^6 and 2^4 bytes, pages of 4096 bytes, the NVM command set. */
export const configuration = {
  enable: 1,
  normalShutdown: 1 << 14,
  shutdownMask: 3 << 14,
  entrySizes: (6 << 16) | (4 << 20),
} as const;

/** Controller status, CSTS (3.1.6). */
export const status = { ready: 1, fatal: 2, shutdownMask: 3 << 2, shutdownComplete: 2 << 2 } as const;

/** Fields of the capabilities register, CAP (3.1.1). */
export function capabilitiesOf(word: bigint) {
  const bits = (from: bigint, count: bigint) => Number((word >> from) & ((1n << count) - 1n));
  return {
    /** Most entries of a queue. */
    maxEntries: bits(0n, 16n) + 1,
    /** The longest that becoming ready, or not ready, takes, in milliseconds. */
    readyTimeout: bits(24n, 8n) * 500,
    /** Bytes from one doorbell to the next. */
    doorbellStride: 4 << bits(32n, 4n),
    /** The smallest page that the controller takes, in bytes. */
    minPageBytes: 4096 * 2 ** bits(48n, 4n),
  };
}

/** Opcodes of the admin command set (5) and of the NVM command set (6). */
export const admin = {
  deleteSubmissionQueue: 0x00,
  createSubmissionQueue: 0x01,
  deleteCompletionQueue: 0x04,
  createCompletionQueue: 0x05,
  identify: 0x06,
} as const;
export const io = { flush: 0x00, write: 0x01, read: 0x02 } as const;

/** What Identify is to tell of (5.15.1). */
export const identify = { namespace: 0, controller: 1 } as const;

/** Flags of Create I/O Completion Queue and Create I/O Submission Queue, in their dword 11 (5.3, 5.4). */
export const queueFlag = { contiguous: 1, interrupts: 2 } as const;

/** Lengths of a submission entry (4.2), a completion entry (4.6), and a page as CC says, in bytes. */
export const bytesOf = { submission: 64, completion: 16, page: 4096, identify: 4096 } as const;

/** A controller's answer to Identify (5.15.2.2): texts are padded with blanks. */
export function controllerOf(data: Uint8Array, minPageBytes: number) {
  const text = (from: number, to: number) => Buffer.from(data.subarray(from, to)).toString('latin1').trim();
  const exponent = data[77] as number;
  return {
    serial: text(4, 24),
    model: text(24, 64),
    firmware: text(64, 72),
    /** Most bytes of one command. */
    maxTransfer: exponent === 0 ? Number.POSITIVE_INFINITY : minPageBytes * 2 ** exponent,
  };
}
export type Controller = ReturnType<typeof controllerOf>;

/** A namespace's answer to Identify (5.15.2.1): its size is in the format that is in use. */
export function namespaceOf(data: Uint8Array) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const format = view.getUint32(128 + (view.getUint8(26) & 0xf) * 4, true);
  return { blocks: Number(view.getBigUint64(0, true)), blockBytes: 2 ** ((format >>> 16) & 0xff) };
}
export type Namespace = ReturnType<typeof namespaceOf>;
