// What is asked and told of regions.
/** undefined: done. A number: index of the status in wire.statuses; the answers say more. */
export type Answered = number | undefined;

export type RuleArguments = [
  maxStoreBlock: number,
  boundary: number,
  strict: boolean,
  mergeable: boolean,
  singleStores: boolean,
];

export type ShardArguments = [
  bytes: Uint8Array | number,
  position: number,
  length: number,
  control: Int32Array,
  progress: BigUint64Array,
  slot: number,
  copied: boolean,
];

export interface NativeTraits {
  id: number;
  size: number;
  maxStoreBlock: number;
  boundary: number;
  strict: boolean;
  mergeable: boolean;
  singleStores: boolean;
  memory: boolean;
  writable: boolean;
  name: string;
  access: string;
}

/** Why a file cannot be a region; `refusal` is an index of wire.refusals. */
export interface NativeRefusal {
  refusal: number;
  call: string;
  errno: number;
  fileSize: number;
  pageSize: number;
}

/** Memory of a region that JavaScript accesses without a call. */
export interface NativeInPlace {
  /** The first bytes of the region. */
  words: ArrayBuffer;
  /** A byte: 0 while the region is open, not lost, and no stages are timed. */
  raised: ArrayBuffer;
  /** A byte: 0 until the memory has gone. */
  lost: ArrayBuffer;
  /** Of loads of 1, 2, 4 and 8 bytes, then of stores: counts that this thread keeps. */
  counts: ArrayBuffer;
  /** Of a device, which may be loaded from so by atomic loads, and not be stored to. */
  device: boolean;
  stores: boolean;
}
