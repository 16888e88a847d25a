// What lies in the first page of a stream's DMB, as one table for each structure; both ends read and write by these tables.
// docs/ism-stream.md says what each field means. Numbers are big-endian, as all of ISM's are.

/** Where a field lies in its structure, and its bytes. */
export interface Field {
  readonly offset: number;
  readonly width: 2 | 4 | 8;
}

/** The control block begins the DMB, the hello lies behind it, and the ring behind their page. */
export const controlOffset = 0;
export const helloOffset = 256;
export const ringOffset = 4096;

/** A ring is a power of two. With its page it fits into a DMB, which has at most 1 MiB. */
export const smallestRing = 4096;
export const largestRing = 512 * 1024;

/** Text behind the control block's fields, in the same move. */
export const textOffset = 56;
export const longestText = 200;

/** The peer's cursors and wishes; `docs/ism-stream.md`, "Control block". */
export const control = {
  check: { offset: 0, width: 4 },
  epoch: { offset: 4, width: 4 },
  sequence: { offset: 8, width: 4 },
  flags: { offset: 12, width: 2 },
  textLength: { offset: 14, width: 2 },
  prod: { offset: 16, width: 8 },
  cons: { offset: 24, width: 8 },
  textPosition: { offset: 32, width: 8 },
  reason: { offset: 40, width: 4 },
  arms: { offset: 44, width: 4 },
  answers: { offset: 48, width: 4 },
  reserved: { offset: 52, width: 4 },
} as const satisfies Record<string, Field>;

/** Bits of the control block's flags. */
export const flag = {
  /** Has read everything, and is to be woken by data. */
  hungry: 1,
  /** Has no room left, and is to be woken by credit. */
  blocked: 2,
  /** Nothing will be published behind prod. */
  end: 4,
  /** Both directions have ended and were read: the last block that is sent. */
  done: 8,
  /** The stream is given up, for the reason that stands beside; the last block that is sent. */
  abort: 16,
} as const;
export const allFlags = flag.hungry | flag.blocked | flag.end | flag.done | flag.abort;

/** How a stream is opened or refused; `docs/ism-stream.md`, "Hello". */
export const hello = {
  check: { offset: 0, width: 4 },
  magic: { offset: 4, width: 4 },
  version: { offset: 8, width: 2 },
  mode: { offset: 10, width: 2 },
  port: { offset: 12, width: 2 },
  reserved: { offset: 14, width: 2 },
  epoch: { offset: 16, width: 4 },
  answers: { offset: 20, width: 4 },
  token: { offset: 24, width: 8 },
  ring: { offset: 32, width: 4 },
  heartbeat: { offset: 36, width: 4 },
  recordLimit: { offset: 40, width: 4 },
  reason: { offset: 44, width: 4 },
  spare: { offset: 48, width: 8 },
  spare2: { offset: 56, width: 8 },
} as const satisfies Record<string, Field>;
export const helloLength = 64;

/** `ISMS`. */
export const magic = 0x49534d53;
export const version = 1;

/** What a software event that asks for a stream has in the upper byte of its code. */
const eventMark = 0x49;

export function eventCode(port: number): number {
  return ((eventMark << 24) | (version << 16) | port) >>> 0;
}

/** The version and port that an event's code asks for; null where it is of something else. */
export function askedBy(code: number): { version: number; port: number } | null {
  if (code >>> 24 !== eventMark) return null;
  return { version: (code >>> 16) & 0xff, port: code & 0xffff };
}

/** A number of a structure. One of 64 bits is exact below 2^53, and above it is still larger than any that is allowed. */
export function get(view: DataView, { offset, width }: Field): number {
  if (width === 4) return view.getUint32(offset);
  if (width === 2) return view.getUint16(offset);
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4);
}

export function put(view: DataView, { offset, width }: Field, value: number): void {
  if (width === 4) view.setUint32(offset, value);
  else if (width === 2) view.setUint16(offset, value);
  else {
    view.setUint32(offset, Math.floor(value / 2 ** 32));
    view.setUint32(offset + 4, value >>> 0);
  }
}

/**
 * The check of a structure: a mixing sum over its 32-bit words from offset 4 to `end`, which is a multiple of 4. Each word is
 * taken in by a bijection, so one that differs always changes the sum, and a mixture of two blocks does but once in 2^32.
 */
export function checkOf(view: DataView, end: number): number {
  let sum = 0x49534d21;
  for (let offset = 4; offset < end; offset += 4) {
    sum = Math.imul(sum ^ view.getUint32(offset), 0x9e3779b1);
    sum = (sum << 13) | (sum >>> 19);
  }
  return (sum ^ (sum >>> 16)) >>> 0;
}

/** The bytes of a control block with so much text; what is behind the text up to the end is zero. */
export function controlLength(textLength: number): number {
  return textOffset + ((textLength + 7) & ~7);
}

/** How far `later` is ahead of `earlier`, of counters that go around at 2^32; negative where it is behind. */
export function ahead(later: number, earlier: number): number {
  return (later - earlier) | 0;
}
