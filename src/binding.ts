// The addon as TypeScript sees it, with the shared layout compared before anything is done with it.
import { loadAddon } from './addon.js';
import { IsmioError } from './errors.js';
import { differences } from './wire.js';

/** undefined: done. A number: index of the status in wire.statuses; the answers say more. */
export type Answered = number | undefined;

declare const kind: unique symbol;

/**
 * The number by which this thread's addon knows a thing. It never stands for another: not for one of another kind, and not
 * for one that comes later. A thing that was closed is found no more.
 */
export type Handle<Kind extends string> = number & { readonly [kind]: Kind };
export type RegionHandle = Handle<'region'>;
/** What was asked of a region that is closed. */
export type CountsHandle = Handle<'counts'>;
export type QueueHandle = Handle<'queue'>;
export type SignalHandle = Handle<'signal'>;
/** An open file of VFIO. */
export type DescriptorHandle = Handle<'descriptor'>;

/** In place of the handle of what is closed: no thing has it. */
export const noHandle = 0 as never;

/** Why there is no memory that both sides see. */
export const noView = { noMemory: 1, noExternalBuffers: 2 } as const;

/** The addon's functions, as native/binding exports them. */
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
    burst: string | null;
  };
  /** What one store may be on a mapped PCI resource. */
  resourceRules(): Pick<NativeTraits, 'maxStoreBlock' | 'boundary' | 'strict'>;

  /** A number is one of noView. */
  allocate(bytes: number): { buffer: ArrayBuffer; id: number } | number;
  /** Whether the buffer could be detached. */
  free(buffer: ArrayBuffer, id: number): boolean;
  /** An id, or -errno. */
  share(view: Uint8Array): number;
  unseen(bytes: number): void;
  sharedAt(view: Uint8Array): { id: number; size: number } | undefined;

  emulate(
    size: number,
    ...rest: [...RuleArguments, memory: boolean, name: string, cost: Float64Array, faults: Float64Array, seed: number]
  ): RegionHandle | undefined;
  map(
    path: string,
    offset: number,
    length: number,
    writable: boolean,
    access: number,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | NativeRefusal;
  guardAgain(): number;
  pagesLeft(): number;
  attach(id: number): RegionHandle | undefined;
  close(region: RegionHandle, everywhere: boolean): void;
  traits(region: RegionHandle): NativeTraits | undefined;
  /** What `stats` tells of once the region is closed; to be forgotten by hand. */
  counts(region: RegionHandle): CountsHandle | undefined;
  forget(counts: CountsHandle): void;
  stats(of: RegionHandle | CountsHandle, into: Float64Array): boolean | undefined;
  timeStages(region: RegionHandle, on: boolean): boolean;
  stage(region: RegionHandle, stage: number): void;
  load8(region: RegionHandle, offset: number, bigEndian: boolean): number | undefined;
  load16(region: RegionHandle, offset: number, bigEndian: boolean): number | undefined;
  load32(region: RegionHandle, offset: number, bigEndian: boolean): number | undefined;
  load64(region: RegionHandle, offset: number, bigEndian: boolean): bigint | undefined;
  store8(region: RegionHandle, offset: number, value: number, bigEndian: boolean): Answered;
  store16(region: RegionHandle, offset: number, value: number, bigEndian: boolean): Answered;
  store32(region: RegionHandle, offset: number, value: number, bigEndian: boolean): Answered;
  store64(region: RegionHandle, offset: number, value: bigint, bigEndian: boolean): Answered;
  storeBlock(region: RegionHandle, offset: number, source: Uint8Array): Answered;
  write(region: RegionHandle, offset: number, source: Uint8Array): Answered;
  read(region: RegionHandle, offset: number, target: Uint8Array): Answered;
  writeShard(region: RegionHandle, offset: number, ...shard: ShardArguments): Answered;
  readShard(region: RegionHandle, offset: number, ...shard: ShardArguments): Answered;
  fence(region: RegionHandle, purpose: number): Answered;
  possible(...args: [...RuleArguments, offset: number, length: number]): boolean;
  plan(...args: [...RuleArguments, offset: number, length: number, into: Float64Array]): number;

  createQueue(
    region: RegionHandle,
    depth: number,
    stagingBytes: number,
    merge: number,
    relaxed: boolean,
    settled: (ticket: number) => void,
  ): { queue: QueueHandle; ring: ArrayBuffer; staging: ArrayBuffer } | number;
  takeOutcomes(queue: QueueHandle): ArrayBuffer | undefined;
  holdSource(queue: QueueHandle, memory: number): number;
  releaseSource(queue: QueueHandle, slot: number): void;
  /** Fills `target` with what the slot holds from `position` on, whatever JavaScript sees of it; whether that is there. */
  readSource(queue: QueueHandle, slot: number, position: number, target: Uint8Array): boolean;
  submit(queue: QueueHandle, from: number, to: number): Answered;
  drain(queue: QueueHandle, from: number, to: number, ticket: number, stopped: boolean): void;
  enqueueBegins(queue: QueueHandle): void;
  completed(queue: QueueHandle): void;
  stop(queue: QueueHandle, ticket: number): void;
  closeQueue(queue: QueueHandle): void;

  /** `onThread`: a thread of the addon's own waits for it, not the event loop. A number is an errno. */
  signalOpen(told: (count: number) => void, onThread: boolean): { signal: SignalHandle; eventfd: number } | number;
  signalClose(signal: SignalHandle): void;
  signalKeepAlive(signal: SignalHandle, on: boolean): void;

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
  /** `device`: of a device, which is closed before what it depends on. */
  open(path: string, device: boolean): DescriptorHandle;
  close(descriptor: DescriptorHandle): number;
  pread(descriptor: DescriptorHandle, offset: bigint, target: Uint8Array): number;
  pwrite(descriptor: DescriptorHandle, offset: bigint, source: Uint8Array): number;
  apiVersion(container: DescriptorHandle): number;
  checkExtension(container: DescriptorHandle, extension: number): number;
  setIommu(container: DescriptorHandle, type: number): number;
  groupStatus(group: DescriptorHandle): number;
  groupSetContainer(group: DescriptorHandle, container: DescriptorHandle): number;
  groupDevice(group: DescriptorHandle, name: string): DescriptorHandle;
  iommuInfo(container: DescriptorHandle, into: Uint8Array): number;
  mapDma(
    container: DescriptorHandle,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    flags: number,
  ): number;
  unmapDma(container: DescriptorHandle, iova: bigint, length: number): number;
  deviceInfo(device: DescriptorHandle, into: Uint8Array): number;
  regionInfo(device: DescriptorHandle, index: number, into: Uint8Array): number;
  irqInfo(device: DescriptorHandle, index: number, into: Uint8Array): number;
  setIrqs(
    device: DescriptorHandle,
    flags: number,
    index: number,
    start: number,
    count: number,
    eventfds: Int32Array | null,
  ): number;
  resetDevice(device: DescriptorHandle): number;
  bindIommufd(device: DescriptorHandle, iommufd: DescriptorHandle): number;
  attachIoas(device: DescriptorHandle, ioas: number): number;
  allocateIoas(iommufd: DescriptorHandle): number;
  iovaRanges(iommufd: DescriptorHandle, ioas: number, pairs: BigUint64Array): number;
  mapIoas(
    iommufd: DescriptorHandle,
    ioas: number,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    flags: number,
  ): number;
  unmapIoas(iommufd: DescriptorHandle, ioas: number, iova: bigint, length: number): number;
  /** `areas`: pairs of offset and length, what of the region is to be mapped. */
  region(
    device: DescriptorHandle,
    base: bigint,
    size: number,
    writable: boolean,
    burst: boolean,
    areas: Float64Array,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number };
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
