// One transfer of the pool: hands its shards out, keeps the account, stops between two accesses.
import { now, shards } from '../access/channels.js';
import { failure, impossible } from '../access/failure.js';
import { allocBuffer, memoryId } from '../access/memory.js';
import { possible } from '../access/rules.js';
import { native } from '../addon/binding.js';
import type { RegionHandle } from '../addon/handles.js';
import { Field, stages, statuses } from '../addon/wire.js';
import type { ShardMessage } from '../region/messages.js';
import { handleOf, type Region } from '../region/region.js';
import { detached } from '../support/check.js';
import { type ErrorCode, IsmioError } from '../support/errors.js';
import { atExit } from '../support/exit.js';
import { type Crew, calledOff, type Errand } from './crew.js';
import type { Progress, Transfer } from './options.js';
import { joined, missing, type Range, shardCount, shardStep, shardsOf } from './shards.js';
import { type CopyTask, claims, type ShardFailure, type ShardResult, type ShardSeen, type WriteTask } from './tasks.js';

type Controls = Pick<WriteTask, 'control' | 'claim' | 'progress' | 'slot' | 'observed'>;

/** Bytes that a worker cannot reach: they cross through memory of the slot. */
interface Staged {
  readonly kind: 'write' | 'read';
  readonly bytes: Uint8Array;
  /** Offset in the region of the first byte. */
  readonly start: number;
}

/** How the shards of a transfer become tasks. */
export interface Plan {
  readonly make: (shard: Range, controls: Controls) => WriteTask | CopyTask;
  readonly staged?: Staged | undefined;
  /** Whether it stores to the region. */
  readonly stores: boolean;
  /** Kept alive until the transfer has ended: the workers know it by a number only. */
  readonly holds: Uint8Array | Region;
}

export class Job {
  readonly #crew: Crew;
  readonly #region: Region;
  readonly #handle: RegionHandle;
  readonly #whole: Range;
  readonly #shards: Iterator<Range>;
  readonly #shardBytes: number;
  /** Word 0 stops everything; the others say who has the shard of a slot. */
  readonly #control: Int32Array;
  readonly #progress: BigUint64Array;
  /** Of each slot, the shard that is under way. */
  readonly #errands: (Errand<ShardResult> | undefined)[] = [];
  readonly #done: Range[] = [];
  #bytes = 0;
  #error: Error | null = null;
  #end: () => void = () => undefined;
  /** Resolves when nothing of this job is in flight any more. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(
    crew: Crew,
    region: Region,
    whole: Range,
    threads: number,
    shardBytes: number,
    readonly plan: Plan,
  ) {
    this.#crew = crew;
    this.#region = region;
    this.#handle = handleOf(region);
    this.#whole = whole;
    this.#shardBytes = shardStep(shardBytes, region.rules.boundary);
    this.#shards = shardsOf(whole, this.#shardBytes);
    const slots = Math.min(threads, shardCount(whole, this.#shardBytes));
    this.#control = new Int32Array(new SharedArrayBuffer(4 * (1 + slots)));
    this.#progress = new BigUint64Array(new SharedArrayBuffer(8 * slots));
  }

  /** What went through so far, in pieces as long as can be. */
  get done(): Range[] {
    return joined(this.#done);
  }

  /** Ends the job between two accesses; the first reason given stands. */
  stop(code: 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED', cause: unknown): void {
    const who = code === 'ERR_ISMIO_ABORTED' ? 'was aborted' : 'was stopped because the pool closed';
    this.#fail(new IsmioError(code, `the transfer ${who}`, {}, cause));
  }

  async run(onProgress: ((progress: Progress) => void) | undefined): Promise<Transfer> {
    this.#checkPossible();
    // Workers in native code see neither process.exit nor anything else of this thread but this word.
    const ended = atExit(() => void Atomics.store(this.#control, 0, 1));
    try {
      await Promise.all(Array.from(this.#progress, (_, slot) => this.#work(slot, onProgress)));
    } finally {
      ended();
      this.#end();
    }
    if (this.#error !== null) throw this.#accountedFor(this.#error);
    return { bytes: this.#bytes, shards: this.#done.length };
  }

  /** Shards end at boundaries, so that those of a write that can be carried can be carried too. */
  #checkPossible(): void {
    const { name, rules } = this.#region;
    const { offset, length } = this.#whole;
    if (this.plan.stores && !possible(rules, offset, length))
      this.#fail(impossible({ what: 'write', offset, length, region: name, rules }));
  }

  async #work(slot: number, onProgress: ((progress: Progress) => void) | undefined): Promise<void> {
    let memory: Uint8Array | null = null;
    while (this.#error === null) {
      const { value: shard, done } = this.#shards.next();
      if (done === true) return;
      try {
        if (this.plan.staged !== undefined) memory ??= this.#stagingMemory();
        await this.#transfer(shard, slot, memory);
        if (this.#error === null) this.#report(shard, onProgress);
      } catch (error) {
        this.#fail(error as Error);
      }
    }
  }

  async #transfer(shard: Range, slot: number, memory: Uint8Array | null): Promise<void> {
    Atomics.store(this.#progress, slot, 0n);
    const task = this.#taskFor(shard, slot, memory);
    const handedOver = task.observed ? now() : 0;
    const errand = this.#crew.send<ShardResult>(task);
    this.#errands[slot] = errand;
    const result = await errand.ended.catch((died: IsmioError) => died);
    const bytes = Number(Atomics.load(this.#progress, slot));
    this.#account(shard, bytes, memory);
    if (result instanceof IsmioError) throw result;
    if (result === null || result === calledOff) return;
    if (result.seen !== null) this.#tell(task, handedOver, result.seen, result.failure !== null);
    if (result.failure !== null) throw this.#shardError(result.failure);
  }

  #tell({ kind, offset, length }: WriteTask | CopyTask, handedOver: number, seen: ShardSeen, failed: boolean): void {
    const message = { region: this.#region, kind, offset, length, handedOver, ...seen, failed };
    shards.publish(message satisfies ShardMessage);
  }

  #stagingMemory(): Uint8Array {
    return allocBuffer(Math.max(1, Math.min(this.#whole.length, this.#shardBytes)));
  }

  #taskFor(shard: Range, slot: number, memory: Uint8Array | null): WriteTask | CopyTask {
    const { make, staged } = this.plan;
    const claim = 1 + slot;
    Atomics.store(this.#control, claim, claims.free);
    const observed = shards.hasSubscribers;
    const controls = { control: this.#control, claim, progress: this.#progress, slot, observed };
    const task = make(shard, controls);
    if (memory === null || staged === undefined) return task;
    const { kind, bytes, start } = staged;
    const at = shard.offset - start;
    if (at + shard.length > bytes.length) throw detached(kind === 'write' ? 'source' : 'target');
    if (kind === 'write') this.#timedCopy(() => memory.set(bytes.subarray(at, at + shard.length)));
    return { ...task, bytes: memoryId(memory.buffer) as number, position: 0, staged: true } as WriteTask;
  }

  #account(shard: Range, bytes: number, memory: Uint8Array | null): void {
    this.#done.push({ offset: shard.offset, length: bytes });
    this.#bytes += bytes;
    const { staged } = this.plan;
    if (memory !== null && staged?.kind === 'read') {
      if (staged.bytes.length === 0) throw detached('target');
      this.#timedCopy(() => staged.bytes.set(memory.subarray(0, bytes), shard.offset - staged.start));
    }
  }

  /** The region may have been closed meanwhile; its number then stands for nothing. */
  #timedCopy(copy: () => void): void {
    native.stage(this.#handle, stages.indexOf('copy'));
    try {
      copy();
    } finally {
      native.stage(this.#handle, stages.length);
    }
  }

  #report(shard: Range, onProgress: ((progress: Progress) => void) | undefined): void {
    try {
      onProgress?.({ bytes: this.#bytes, total: this.#whole.length, shard });
    } catch (cause) {
      this.#fail(new IsmioError('ERR_ISMIO_CALLBACK', 'onProgress threw; what it threw is the cause', {}, cause));
    }
  }

  #fail(error: Error): void {
    if (this.#error === null || codeOf(error) === 'ERR_ISMIO_WORKER_DIED') this.#error = error;
    Atomics.store(this.#control, 0, 1);
    for (const errand of this.#errands) errand?.callOff();
  }

  #shardError(failed: ShardFailure): Error {
    const status = statuses[failed.answer[Field.status] as number];
    if (status === 'aborted' && this.#error !== null) return this.#error;
    // The addon knows no memory by that number: it was freed before the worker came to it.
    const { holds } = this.plan;
    if (status === 'badEntry' && holds instanceof Uint8Array && holds.length === 0)
      return detached(failed.what === 'write' ? 'source' : 'target');
    const { name, rules } = this.#region;
    return failure(
      { what: failed.what, offset: failed.offset, length: failed.length, region: name, rules },
      failed.answer,
    );
  }

  #accountedFor(error: Error): Error {
    const { done } = this;
    const notDone = missing(this.#whole, done);
    error.message += `; ${this.#bytes} of ${this.#whole.length} bytes were done`;
    return Object.assign(error, { done, notDone });
  }
}

function codeOf(error: Error): ErrorCode | undefined {
  return (error as { code?: ErrorCode }).code;
}
