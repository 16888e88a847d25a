// The addon as TypeScript sees it, with the shared layout compared before anything is done with it.
import { IsmioError } from '../support/errors.js';
import { loadAddon } from './load.js';
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
/** A device that this thread defined. */
export type FunctionHandle = Handle<'function'>;
/** What takes the stores to a BAR of one: a port of a fabric. */
export type PortHandle = Handle<'port'>;
/** What connects ports. */
export type FabricHandle = Handle<'fabric'>;
/** The signals of whoever owns the memory of a lane. */
export type BellHandle = Handle<'bell'>;
/** A device that is served over a socket. */
export type ServerHandle = Handle<'server'>;
/** An open file of VFIO. */
export type DescriptorHandle = Handle<'descriptor'>;
/** A socket to a device of another process. */
export type ConnectionHandle = Handle<'connection'>;

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
  /** The bytes of one into the other, which is as long. */
  copy(target: Uint8Array, source: Uint8Array): void;
  /** Whether the line of a terminal is held: 0 or an errno. */
  setBreak(descriptor: number, on: boolean): number;
  /** Programs that are started do not get the descriptor: 0 or an errno. */
  closeOnExec(descriptor: number): number;
  /** CRC32C of what came before, 0 of nothing, with these bytes behind it. */
  crc32c(bytes: Uint8Array, before: number): number;
  /** Other threads that are ready to run on this CPU come first. */
  yieldProcessor(): void;
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
  /** On the first thread: `callback` is called when another has opened a mapped region. */
  whenGuarded(callback: () => void): void;
  tellGuarded(): void;
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
  // What they access, and with which bytes, is in the request (wire.Request).
  load8(): Answered;
  load16(): Answered;
  load32(): Answered;
  load64(): Answered;
  store8(): Answered;
  store16(): Answered;
  store32(): Answered;
  store64(): Answered;
  /** Undefined where nothing of the region can be accessed without a call. */
  inPlace(region: RegionHandle): NativeInPlace | undefined;
  takeBack(...buffers: ArrayBuffer[]): void;
  /** What is looked at before an access that JavaScript answers itself, and where it is counted; as of NativeInPlace. */
  counted(region: RegionHandle): Pick<NativeInPlace, 'raised' | 'counts'> | undefined;
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
  /** Gives each of these operations an entry of its own, before they are handed over: somebody reads them. */
  unfold(queue: QueueHandle, from: number, to: number): void;
  stop(queue: QueueHandle, ticket: number): void;
  closeQueue(queue: QueueHandle): void;

  /** `onThread`: a thread of the addon's own waits for it, not the event loop. A number is an errno. */
  signalOpen(told: (count: number) => void, onThread: boolean): { signal: SignalHandle; eventfd: number } | number;
  /** How often it was signalled; 0 when the milliseconds are over; or -errno. */
  signalWait(signal: SignalHandle, milliseconds: number): number;
  signalClose(signal: SignalHandle): void;
  signalKeepAlive(signal: SignalHandle, on: boolean): void;

  readonly vfio: NativeVfio;
  readonly connections: NativeConnections;
  readonly devices: NativeDevices;
  readonly servers: NativeServers;
  readonly ism: NativeIsm;
  readonly lanes: NativeLanes;
  readonly space: NativeSpace;

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

/** Of a range of a file, on another thread: `done` gets an errno, or 0. */
export type SpaceCall = (
  file: number,
  offset: number,
  length: number,
  done: (error: null, errno: number) => void,
) => void;

/** native/binding/space.cc. */
export interface NativeSpace {
  punch: SpaceCall;
  zero: SpaceCall;
  allocate: SpaceCall;
  readAhead: SpaceCall;
  /** Into `into`, where data begins, where it ends, and so on from the offset on, until the end of the range or of `into`. */
  extents(
    file: number,
    offset: number,
    length: number,
    into: Float64Array,
    done: (error: null, errno: number, count: number) => void,
  ): void;
}

export interface SealedRead {
  readonly errno: number;
  readonly filled: number;
  readonly fits: boolean;
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

/** What is asked of JavaScript; the numbers of `kind` are those of `Handled`. */
export type AnswerRequest = (
  device: number,
  kind: number,
  region: number,
  offset: number,
  length: number,
  bytes: Uint8Array | undefined,
) => number;

/** native/binding/device.cc. A negative answer is -errno. */
export interface NativeDevices {
  /** -1 where the memory of an area is not this package's. */
  make(
    number: number,
    bars: Float64Array,
    areas: Float64Array,
    configSize: number,
    irqs: Uint32Array,
    mostMappings: number,
    engines: Float64Array,
  ): FunctionHandle;
  close(device: FunctionHandle): void;
  /** `answer` gives 0, an errno, or -ticket for what `settle` ends; up to 8 bytes go by the word. */
  answerBy(answer: AnswerRequest, word: Uint8Array, later: () => void): void;
  serve(): void;
  settle(ticket: number, errno: number, bytes: Uint8Array | undefined): void;
  deviceInfo(device: FunctionHandle, into: Uint8Array): number;
  regionInfo(device: FunctionHandle, index: number, into: Uint8Array): number;
  irqInfo(device: FunctionHandle, index: number, into: Uint8Array): number;
  setIrqs(
    device: FunctionHandle,
    flags: number,
    index: number,
    start: number,
    count: number,
    eventfds: Int32Array | null,
  ): number;
  raise(device: FunctionHandle, irq: number, vector: number): void;
  level(device: FunctionHandle, up: boolean): void;
  pending(device: FunctionHandle, irq: number, vector: number): boolean;
  enabled(device: FunctionHandle, irq: number, vector: number): boolean;
  /** Whether it has refused an access since this was last asked. */
  refused(device: FunctionHandle): boolean;
  command(device: FunctionHandle, decodes: boolean, masters: boolean): void;
  /** Whether nobody had it open. */
  take(device: FunctionHandle): boolean;
  letGo(device: FunctionHandle): void;
  /** As `letGo`, where no driver had it: interrupts that are held back stay so. */
  giveBack(device: FunctionHandle): void;
  mapDma(
    device: FunctionHandle,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    readable: boolean,
    writable: boolean,
  ): number;
  unmapDma(device: FunctionHandle, iova: bigint, length: number): number;
  /** 0, or an errno. */
  read(device: FunctionHandle, iova: bigint, target: Uint8Array): number;
  write(device: FunctionHandle, iova: bigint, source: Uint8Array): number;
  view(device: FunctionHandle, iova: bigint, length: number): ArrayBuffer | undefined;
  region(
    device: FunctionHandle,
    bar: number,
    writable: boolean,
    ...rest: [...RuleArguments, name: string, cost: Float64Array, faults: Float64Array, seed: number]
  ): RegionHandle | undefined;
}

/** native/binding/ism.cc. A negative answer is -errno. */
export interface NativeIsm {
  /** `rates` in the order of `mischiefs`, of a thousand moves; `latest` in milliseconds. Without them there is no adversary. */
  fabric(direct: boolean, ...adversary: [] | readonly [seed: bigint, latest: number, ...rates: number[]]): FabricHandle;
  /** How often each of `mischiefs` was done; undefined without an adversary. */
  mischief(fabric: FabricHandle): readonly number[] | undefined;
  closeFabric(fabric: FabricHandle): void;
  /** -EEXIST where the fabric has one of this GID. */
  port(fabric: FabricHandle, gid: bigint, reversed: boolean): PortHandle | number;
  closePort(port: PortHandle): void;
  registerSba(port: PortHandle, iova: bigint): number;
  registerQueue(port: PortHandle, iova: bigint, length: bigint): number;
  /** Whether there was one. */
  unregisterSba(port: PortHandle): boolean;
  unregisterQueue(port: PortHandle): boolean;
  /** A token. */
  registerDmb(port: PortHandle, iova: bigint, length: number, index: number, sender: bigint): bigint | number;
  unregisterDmb(port: PortHandle, token: bigint): boolean;
  /** Whether it has an event queue. */
  tell(port: PortHandle, type: number, code: number, token: bigint, info: bigint, interrupt: boolean): boolean;
  clear(port: PortHandle): void;
  /** The adversary has killed it, since its driver last went. */
  dead(port: PortHandle): boolean;
  counts(port: PortHandle): PortCounts | undefined;
}

export interface PortCounts {
  readonly moves: number;
  readonly movedBytes: number;
  readonly received: number;
  readonly signals: number;
  readonly interrupts: number;
  readonly events: number;
  readonly lanes: number;
  readonly dmbs: number;
  /** By reason, in the order of `moveRefusals`. */
  readonly refused: readonly number[];
}

/** What is told of a server; the numbers of `what` are those of `happenings`. */
export type ServerHappened = (what: number, errno: number, pid: number, uid: number, gid: number) => void;

/** native/binding/server.cc */
export interface NativeServers {
  open(
    device: FunctionHandle,
    path: string,
    mode: number,
    maxDmaMaps: number,
    happened: ServerHappened,
  ): ServerHandle | { call: string; errno: number };
  close(server: ServerHandle): void;
  keepAlive(server: ServerHandle, on: boolean): void;
  /** In the order of `struct Counts` in native/vfio-user/common.h. */
  counts(server: ServerHandle, into: Float64Array): void;
}

/** native/binding/connection.cc. A negative answer is -errno. */
export interface NativeConnections {
  /** `told` is called once when the server is lost. */
  connect(
    path: string,
    milliseconds: number,
    told: (why: number) => void,
  ): { connection: ConnectionHandle; process: number; user: number } | { call: string; errno: number };
  /** How long the payload of the reply is, which is in `reply`. */
  call(
    connection: ConnectionHandle,
    command: number,
    payload: Uint8Array,
    descriptors: Int32Array | null,
    reply: Uint8Array,
  ): number;
  /** Why the server is lost; 0 while it is there. */
  lost(connection: ConnectionHandle): number;
  close(connection: ConnectionHandle): void;
  mapDma(
    connection: ConnectionHandle,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    readable: boolean,
    writable: boolean,
  ): number;
  unmapDma(connection: ConnectionHandle, iova: bigint, length: number): number;
  /** `areas`: pairs of offset and length, what of the region is to be mapped. */
  region(
    connection: ConnectionHandle,
    index: number,
    size: number,
    writable: boolean,
    burst: boolean,
    posted: boolean,
    areas: Float64Array,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number };
}

/** native/binding/lane.cc */
export interface NativeLanes {
  open(
    connection: ConnectionHandle,
    token: bigint,
    ...rest: [...RuleArguments, name: string]
  ): { region: RegionHandle; bell: BellHandle } | { call: string; errno: number };
  /** 0 or an errno. */
  ring(bell: BellHandle, colour: number): number;
  closeBell(bell: BellHandle): void;
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
  probeZpciError(device: DescriptorHandle): number;
  /** `into` has to have room for as much as the kernel's capability says that it writes. */
  zpciError(device: DescriptorHandle, into: Uint8Array): number;
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

/** Why a file cannot be a region; `refusal` is an index of wire.refusals. */
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
