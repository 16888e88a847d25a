// The addon as TypeScript sees it, with the shared layout compared before anything is done with it.
import { loadAddon } from './addon.js';
import { IsmioError } from './errors.js';
import { differences } from './wire.js';

/** undefined: done. A number: index of the status in wire.statuses; the answers say more. */
export type Answered = number | undefined;

/** The addon's functions, as native/binding exports them. Numbers stand for things. */
export interface Binding {
  readonly layout: Readonly<Record<string, number>>;
  readonly answers: ArrayBuffer;
  /** Nanoseconds of CLOCK_MONOTONIC: the clock of `began` and `ended` in the answers. */
  now(): number;
  kernels(): {
    cpu: string;
    memory: string;
    mapped: string;
    resource: string;
    resourceRules: Pick<NativeTraits, 'maxStoreBlock' | 'boundary' | 'strict'>;
    burst: string | null;
  };

  /** undefined: no memory. null: this runtime makes no ArrayBuffers over memory of an addon. */
  allocate(bytes: number): { buffer: ArrayBuffer; id: number } | undefined | null;
  /** Whether the buffer could be detached. */
  free(buffer: ArrayBuffer, id: number): boolean;
  /** An id, or -errno. */
  share(view: Uint8Array): number;
  unseen(bytes: number): void;
  sharedAt(view: Uint8Array): { id: number; size: number } | undefined;

  emulate(
    size: number,
    ...rest: [...RuleArguments, memory: boolean, name: string, cost: Float64Array, faults: Float64Array, seed: number]
  ): number | undefined;
  map(
    path: string,
    offset: number,
    length: number,
    writable: boolean,
    access: number,
    ...rest: [...RuleArguments, name: string]
  ): number | NativeRefusal;
  guardAgain(): number;
  pagesLeft(): number;
  attach(id: number): number | undefined;
  close(region: number, everywhere: boolean): void;
  traits(region: number): NativeTraits | undefined;
  stats(region: number, into: Float64Array): boolean | undefined;
  timeStages(region: number, on: boolean): boolean;
  stage(region: number, stage: number): void;
  load8(region: number, offset: number, bigEndian: boolean): number | undefined;
  load16(region: number, offset: number, bigEndian: boolean): number | undefined;
  load32(region: number, offset: number, bigEndian: boolean): number | undefined;
  load64(region: number, offset: number, bigEndian: boolean): bigint | undefined;
  store8(region: number, offset: number, value: number, bigEndian: boolean): Answered;
  store16(region: number, offset: number, value: number, bigEndian: boolean): Answered;
  store32(region: number, offset: number, value: number, bigEndian: boolean): Answered;
  store64(region: number, offset: number, value: bigint, bigEndian: boolean): Answered;
  storeBlock(region: number, offset: number, source: Uint8Array): Answered;
  write(region: number, offset: number, source: Uint8Array): Answered;
  read(region: number, offset: number, target: Uint8Array): Answered;
  writeShard(region: number, offset: number, ...shard: ShardArguments): Answered;
  readShard(region: number, offset: number, ...shard: ShardArguments): Answered;
  fence(region: number, purpose: number): Answered;
  possible(...args: [...RuleArguments, offset: number, length: number]): boolean;
  plan(...args: [...RuleArguments, offset: number, length: number, into: Float64Array]): number;

  createQueue(
    region: number,
    depth: number,
    stagingBytes: number,
    merge: number,
    relaxed: boolean,
    settled: (ticket: number) => void,
  ): { queue: number; ring: ArrayBuffer; staging: ArrayBuffer } | undefined;
  takeOutcomes(queue: number): ArrayBuffer | undefined;
  holdSource(queue: number, memory: number): number;
  releaseSource(queue: number, slot: number): void;
  submit(queue: number, from: number, to: number): Answered;
  drain(queue: number, from: number, to: number, ticket: number, stopped: boolean): void;
  enqueueBegins(queue: number): void;
  completed(queue: number): void;
  stop(queue: number, ticket: number): void;
  closeQueue(queue: number): void;

  signalOpen(told: (count: number) => void): { signal: number; eventfd: number } | number;
  signalClose(signal: number): void;
  signalKeepAlive(signal: number, on: boolean): void;

  readonly vfio: NativeVfio;

  /** Writes the checksum of what follows into the first 32 bytes. */
  seal(block: Uint8Array): void;
  /**
   * Reads the bytes of the file from `position` on into what is left of the buffer behind its first `filled` bytes, on
   * another thread. Calls back with how many bytes are there then (fewer where the file ends), the errno of a read that
   * failed or 0, and whether the first `block` bytes begin with the checksum of what follows in them.
   */
  readSealed(
    file: number,
    position: number,
    buffer: Uint8Array,
    filled: number,
    block: number,
    done: (error: null, read: SealedRead) => void,
  ): void;
}

export interface SealedRead {
  readonly errno: number;
  readonly filled: number;
  readonly fits: boolean;
}

/** native/vfio/kernel.h: one function for each ioctl. A negative answer is -errno. */
export interface NativeVfio {
  readonly pageSize: number;
  open(path: string): number;
  close(descriptor: number): number;
  pread(descriptor: number, offset: bigint, target: Uint8Array): number;
  pwrite(descriptor: number, offset: bigint, source: Uint8Array): number;
  apiVersion(container: number): number;
  checkExtension(container: number, extension: number): number;
  setIommu(container: number, type: number): number;
  groupStatus(group: number): number;
  groupSetContainer(group: number, container: number): number;
  groupDevice(group: number, name: string): number;
  iommuInfo(container: number, into: Uint8Array): number;
  mapDma(container: number, iova: bigint, memory: number, position: number, length: number, flags: number): number;
  unmapDma(container: number, iova: bigint, length: number): number;
  deviceInfo(device: number, into: Uint8Array): number;
  regionInfo(device: number, index: number, into: Uint8Array): number;
  irqInfo(device: number, index: number, into: Uint8Array): number;
  setIrqs(
    device: number,
    flags: number,
    index: number,
    start: number,
    count: number,
    eventfds: Int32Array | null,
  ): number;
  resetDevice(device: number): number;
  bindIommufd(device: number, iommufd: number): number;
  attachIoas(device: number, ioas: number): number;
  allocateIoas(iommufd: number): number;
  iovaRanges(iommufd: number, ioas: number, pairs: BigUint64Array): number;
  mapIoas(
    iommufd: number,
    ioas: number,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    flags: number,
  ): number;
  unmapIoas(iommufd: number, ioas: number, iova: bigint, length: number): number;
  /** `areas`: pairs of offset and length, what of the region is to be mapped. */
  region(
    device: number,
    base: bigint,
    size: number,
    writable: boolean,
    burst: boolean,
    areas: Float64Array,
    ...rest: [...RuleArguments, name: string]
  ): number | { call: string; errno: number };
}

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

/** Why a file cannot be a region; in the order of `enum class Refusal` in native/backend/file/file.h. */
export interface NativeRefusal {
  refusal: number;
  call: string;
  errno: number;
  fileSize: number;
  pageSize: number;
}

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

function loadChecked(): { binding: Binding; path: string } {
  const { addon, path } = loadAddon();
  const binding = addon as Binding;
  const found = differences(binding.layout);
  if (found.length > 0) {
    throw new IsmioError(
      'ERR_ISMIO_LAYOUT',
      `the addon at ${path} is from another build of ismio (${found.join('; ')}). Reinstall ismio, or run ` +
        '"npx ismio build".',
      { path, differences: found },
    );
  }
  return { binding, path };
}

export const { binding: native, path: binaryPath } = loadChecked();

/** What the last failed call answered; words by wire.Field. */
export const answers: Float64Array = new Float64Array(native.answers);
