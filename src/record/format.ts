// The file of a recording: its constants, and what bounds the reader holds it to. docs/recording-format.md describes it.
//
//     preamble      magic, version
//     block 0       metadata (JSON)
//     blocks        operations
//     last block    end: totals, and what of the batches did not go through (JSON)
//     trailer       where the last block is, magic

// Versions differ in two bits at least, as no checksum covers them: one that was flipped makes none of another. So no 3.
/** A file has the lower one where it can: what was made before 4 reads it then. */
export const formatVersions = {
  /** Nothing that was loaded, and no fence but full ones. */
  plain: 2,
  /** Loads may have their bytes, and fences are for something. */
  loads: 4,
} as const;
/** Which can be read. Version 1 has fewer kinds of records. */
export const readableVersions: readonly number[] = [1, formatVersions.plain, formatVersions.loads];

/** Not text, and damaged by anything that takes it for text. */
export const magic: Uint8Array = Uint8Array.of(0x89, 0x49, 0x53, 0x4d, 0x52, 0x45, 0x43, 0x0a); // \x89ISMREC\n
export const endMagic: Uint8Array = Uint8Array.of(0x8a, 0x49, 0x53, 0x4d, 0x45, 0x4e, 0x44, 0x0a); // \x8aISMEND\n
export const preambleBytes = 16;
export const trailerBytes = 16;

/** A block begins with its seal (32 bytes, a checksum of the rest: native/support/fletcher.h), then its fields. */
export const blockHeaderBytes = 64;
export const blockMagic = 0x4b4c4249; // 'IBLK'

export const blockTypes = { metadata: 1, operations: 2, end: 3 } as const;
export const codings = { plain: 0, deflated: 1 } as const;

/** The contents of a block of operations begin with the lengths of its three parts. */
export const contentHeaderBytes = 16;

/** Longest operation that is recorded in one piece; a longer one is cut where its offset is a multiple of this. */
export const pieceBytes = 1 << 20;

/** What a reader accepts. */
export const limits = {
  /** Bytes of a block, as stored and as meant. */
  block: 1 << 24,
  /** Operations in a block, and in a run. */
  operations: 1 << 20,
  run: 1 << 16,
  /** Regions and queues that are open at once. */
  regions: 1024,
  queues: 1 << 16,
  /** Batches that have loads and have not ended, where these have their bytes. */
  loading: 1 << 20,
  name: 1024,
} as const;

/** Numbers of regions and queues. */
export const largestNumber = 2 ** 32;

/** A block is ended when it has so many bytes of payload, or operations. */
export const wanted = { payload: 1 << 21, operations: 1 << 18 } as const;

/** First bytes of the records in a block's control part. A run has its operation added. */
export const records = {
  region: 0x01,
  regionClosed: 0x02,
  queue: 0x03,
  queueClosed: 0x04,
  submit: 0x05,
  drain: 0x06,
  settled: 0x07,
  failed: 0x08,
  loaded: 0x09,
  direct: 0x10,
  queued: 0x20,
  pooled: 0x30,
} as const;

export const operationKinds = ['load', 'store', 'storeBlock', 'read', 'write', 'fence', 'copy'] as const;
export type OperationKind = (typeof operationKinds)[number];

/** How the operations of a run came about. */
export type Origin = 'direct' | 'queued' | 'pooled';

export const offsetModes = { stride: 0, deltas: 1, absolute: 2 } as const;
export const lengthModes = { same: 0, u16: 1, u32: 2 } as const;

/** Bits of a run's flags. */
export const runFlags = {
  offsets: 3,
  lengthShift: 2,
  lengths: 3 << 2,
  failed: 1 << 4,
  continued: 1 << 5,
  times: 1 << 6,
  backwards: 1 << 7,
} as const;

export const mergeWords = ['none', 'adjacent', 'any'] as const;
export const orderWords = ['strict', 'relaxed'] as const;

/** Whether operations of this kind store bytes, which the recording has where it has payload. */
export function stores(kind: OperationKind): boolean {
  return kind === 'store' || kind === 'storeBlock' || kind === 'write';
}

/** Whether they load bytes, which it has where that was asked for. */
export function loads(kind: OperationKind): boolean {
  return kind === 'load' || kind === 'read';
}

/** What the first block says, as JSON. */
export interface Metadata {
  /** Of the package that recorded it. */
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly started: string;
  /** Whether it has the bytes that were stored. */
  readonly payload: boolean;
  /** Whether it has those that were loaded. */
  readonly loads: boolean;
}

/** Of one operation in a batch that failed, or of several in a row. */
export type Outcome = readonly [index: number, count: number, state: number, bytesDone: number];

export interface Totals {
  readonly operations: number;
  /** Moved, in either direction. */
  readonly bytes: number;
  /** Batches handed over. */
  readonly batches: number;
  readonly nanoseconds: number;
}

/** What the last block says, as JSON. */
export interface End extends Totals {
  /** By the number of the batch, counted from 0 as they were handed over: what of it is not done. */
  readonly failures: readonly (readonly [batch: number, outcomes: readonly Outcome[]])[];
}
