// A replay: the regions and queues of the recording, opened here, and what is done to them.
import { IsmioError } from '../support/errors.js';
import { Allowance } from './allowance.js';
import type { Batch } from './batch.js';
import { Contests } from './contests.js';
import type { ReplayContext } from './context.js';
import type { Entry } from './decoder.js';
import { DirectAccesses } from './direct.js';
import { Footprint } from './footprint.js';
import { type Outcome, pieceBytes } from './format.js';
import type { Answer } from './loading.js';
import { Pace } from './pace.js';
import type { RecordingReader } from './reader.js';
import { Recall } from './recall.js';
import type { ReplayRegion } from './replay-region.js';
import { ReplayedQueue } from './replayed-queue.js';
import { mismatch, type ReplayedRegion, type ReplayReport, type ReplaySettings } from './report.js';
import type { RecordedQueue, RecordedRegion } from './run.js';
import { type Turns, untilLook } from './turns.js';
import { type Findings, Verifier } from './verifier.js';

/** Answers of a device: a replay counts them and goes on. Anything else ends it. */
const answers = new Set(['ERR_ISMIO_DEVICE', 'ERR_ISMIO_BUSY', 'ERR_ISMIO_INVALID_HANDLE', 'ERR_ISMIO_SYSTEM']);

/** A region of the recording, opened here. */
interface Opened {
  readonly region: ReplayRegion;
  readonly own: boolean;
  readonly before: ReturnType<ReplayRegion['stats']>;
}

export class Replayer {
  readonly #settings: ReplaySettings;
  readonly #turns: Turns;
  readonly #reader: RecordingReader;
  readonly #pace: Pace;
  readonly #context: ReplayContext;
  readonly #direct: DirectAccesses;
  readonly #footprint: Footprint;
  readonly #failures: ReadonlyMap<number, readonly Outcome[]>;
  readonly #regions = new Map<number, Opened>();
  readonly #queues = new Map<number, ReplayedQueue>();
  readonly #done: ReplayedRegion[] = [];
  readonly #findings: Findings = { wrong: null };
  #batches = 0;
  #failed = 0;
  #firstFailure: Error | null = null;
  #split = 0;
  #began = 0;
  #seconds = 0;

  constructor(settings: ReplaySettings, reader: RecordingReader, turns: Turns) {
    this.#settings = settings;
    this.#turns = turns;
    this.#reader = reader;
    this.#failures = new Map(reader.end.failures);
    this.#pace = new Pace(settings.paced, turns);
    const allowance = new Allowance(settings.memory);
    this.#footprint = new Footprint(new Allowance(settings.memory));
    this.#context = {
      verifier: settings.verify ? new Verifier(allowance, this.#findings) : null,
      recall: settings.verifyLoads ? new Recall(allowance, this.#findings) : null,
      contests: settings.verify || settings.verifyLoads ? new Contests() : null,
      allowance,
      buffers: reader.buffers,
      turns,
      inFlight: new Set<Batch>(),
      unseen: reader.buffers.take(pieceBytes),
      failed: (error) => this.#refused(error),
      split: () => void this.#split++,
    };
    this.#direct = new DirectAccesses(this.#context, this.#pace, (recorded) => this.#regionOf(recorded));
  }

  begin(): void {
    this.#began = performance.now();
    this.#pace.begin();
  }

  /** Does what the record says. A promise where that takes waiting. */
  entry(entry: Entry): Promise<void> | void {
    switch (entry.what) {
      case 'region':
        return this.#open(entry.region);
      case 'regionClosed':
        return this.#leave(entry.region.number);
      case 'queue':
      case 'failed': // what did not go through is known from the beginning
        return;
      case 'queueClosed':
        return this.#closeQueue(entry.queue);
      case 'loaded':
        return this.#context.recall === null ? undefined : this.#recall(entry, this.#context.recall);
      case 'run':
        return this.#run(entry);
      case 'submit':
      case 'drain':
        return this.#handOver(entry.what, this.#queueOf(entry.queue), entry.time);
      case 'settled':
        return this.#queues.get(entry.queue.number)?.settle();
    }
  }

  #run({ run, offsets }: Entry & { what: 'run' }): Promise<void> | void {
    this.#footprint.add(this.#regionOf(run.region), run, offsets);
    if (run.queue === null) return this.#direct.repeat(run, offsets);
    return this.#queueOf(run.queue).claim(run, offsets, this.#batches, this.#failures.get(this.#batches));
  }

  /** Compares what loads of a batch gave when it was recorded, when it has ended here as well. */
  #recall(answer: Answer, recall: Recall): Promise<void> | void {
    const queue = this.#queues.get(answer.queue.number);
    if (queue?.hasInFlight(answer.batch) !== true) return recall.recorded(answer);
    return queue.settle().then(() => this.#recall(answer, recall));
  }

  /** Gives blocks back before their time; whether there was one. */
  async makeRoom(): Promise<boolean> {
    const queues = [...this.#queues.values()];
    const queue = queues.find((one) => one.inFlight) ?? queues.find((one) => one.waiting);
    await queue?.makeRoom();
    return queue !== undefined;
  }

  /** Waits for everything, and compares. */
  async end(): Promise<void> {
    for (const queue of this.#queues.values()) await queue.settleAll();
    for (const { region } of this.#regions.values()) region.fence();
    for (const number of [...this.#regions.keys()]) await this.#leave(number);
    this.#seconds = (performance.now() - this.#began) / 1000;
  }

  report(): ReplayReport {
    const { whole, end } = this.#reader;
    const report: ReplayReport = {
      whole,
      operations: end.operations,
      bytes: end.bytes,
      batches: this.#batches,
      seconds: this.#seconds,
      failed: this.#failed,
      firstFailure: this.#firstFailure,
      split: this.#split,
      regions: this.#done,
    };
    const { wrong } = this.#findings;
    if (wrong !== null) throw mismatch(wrong, report);
    return report;
  }

  /** Closes what this replay has opened. */
  async close(): Promise<void> {
    for (const queue of this.#queues.values()) await queue.abandon();
    for (const { region, own } of this.#regions.values()) if (own) region.close();
  }

  #open(recorded: RecordedRegion): void {
    const { region, own } = this.#settings.open(recorded);
    this.#turns.add(untilLook);
    const taken = [...this.#regions.values()].some((one) => one.region === region);
    if (taken) {
      throw new IsmioError(
        'ERR_ISMIO_OPTION',
        `the recording has more than one region; { region } has to be a function that opens one for each`,
        { region: region.name },
      );
    }
    this.#regions.set(recorded.number, { region, own, before: region.stats() });
    if (own && region.access === 'emulated') this.#footprint.watch(region);
  }

  async #leave(number: number): Promise<void> {
    const opened = this.#regions.get(number);
    if (opened === undefined) return;
    const { region, own, before } = opened;
    for (const queue of this.#queues.values()) if (queue.region === region) await queue.settleAll();
    const after = region.stats();
    const verified = (await this.#context.verifier?.compare(region, this.#turns)) ?? null;
    this.#regions.delete(number);
    this.#done.push({
      name: region.name,
      size: region.size,
      loads: after.loads - before.loads,
      stores: after.stores - before.stores,
      storeBlocks: after.storeBlocks - before.storeBlocks,
      bytes: after.bytes - before.bytes,
      merged: after.merged - before.merged,
      retries: after.retries - before.retries,
      verified,
      recalled: this.#context.recall?.leave(region) ?? null,
    });
    for (const [recorded, queue] of this.#queues) if (queue.region === region) this.#end(recorded, queue);
    if (own) region.close();
    this.#footprint.leave(region);
  }

  #regionOf(recorded: RecordedRegion): ReplayRegion {
    return (this.#regions.get(recorded.number) as Opened).region;
  }

  #queueOf(recorded: RecordedQueue): ReplayedQueue {
    const known = this.#queues.get(recorded.number);
    if (known !== undefined) return known;
    const { merge = recorded.merge, order = recorded.order } = this.#settings;
    const queue = new ReplayedQueue(this.#regionOf(recorded.region), recorded.depth, { merge, order }, this.#context);
    this.#turns.add(untilLook);
    this.#queues.set(recorded.number, queue);
    return queue;
  }

  async #closeQueue({ number }: RecordedQueue): Promise<void> {
    const queue = this.#queues.get(number);
    if (queue === undefined) return;
    await queue.settleAll();
    this.#end(number, queue);
  }

  #end(number: number, queue: ReplayedQueue): void {
    queue.close();
    this.#queues.delete(number);
  }

  #handOver(recorded: 'submit' | 'drain', queue: ReplayedQueue, time: number): Promise<void> | void {
    this.#batches++;
    const { handOver } = this.#settings;
    const how = handOver === 'recorded' ? recorded : handOver;
    const wait = this.#pace.until(time);
    if (wait === undefined && !queue.inFlight && how === recorded)
      return how === 'submit' ? queue.submit() : queue.drain();
    return this.#handOverLater(how, recorded, queue, wait);
  }

  async #handOverLater(
    how: 'submit' | 'drain',
    recorded: 'submit' | 'drain',
    queue: ReplayedQueue,
    wait: Promise<void> | void,
  ): Promise<void> {
    if (wait !== undefined) await wait;
    if (how === 'submit') await queue.settleAll();
    if (how === 'submit') return queue.submit();
    queue.drain();
    if (recorded === 'submit') await queue.settleAll();
  }

  #refused(error: Error): void {
    if (!answers.has((error as IsmioError).code)) throw error;
    this.#failed++;
    this.#firstFailure ??= error;
  }
}
