// The addon as TypeScript sees it, with the shared layout compared before anything is done with it.
import { IsmioError } from '../support/errors.js';
import type { NativeDevices } from './devices.js';
import type { CountsHandle, QueueHandle, RegionHandle, SignalHandle } from './handles.js';
import type { NativeIsm, NativeLanes } from './ism.js';
import { loadAddon } from './load.js';
import type { Answered, NativeInPlace, NativeRefusal, NativeTraits, RuleArguments, ShardArguments } from './regions.js';
import type { NativeSpace } from './space.js';
import type { NativeVfio } from './vfio.js';
import type { NativeConnections, NativeServers } from './vfio-user.js';
import { differences } from './wire.js';

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

  /** The bytes of one into the other, which is as long. */
  copy(target: Uint8Array, source: Uint8Array): void;
  /** Whether the line of a terminal is held: 0 or an errno. */
  setBreak(descriptor: number, on: boolean): number;
  /** Programs that are started do not get the descriptor: 0 or an errno. */
  closeOnExec(descriptor: number): number;
  /** Another descriptor of the same, which programs that are started do not get; or -errno. */
  duplicate(descriptor: number): number;
  /** CRC32C of what came before, 0 of nothing, with these bytes behind it. */
  crc32c(bytes: Uint8Array, before: number): number;
  /** Other threads that are ready to run on this CPU come first. */
  yieldProcessor(): void;
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

export interface SealedRead {
  readonly errno: number;
  readonly filled: number;
  readonly fits: boolean;
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
