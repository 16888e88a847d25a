// Where a replay takes place: the regions and queues of the recording, opened here, and what is done to them.
import { IsmioError } from '../errors.js';
import { entriesFor } from '../queue/ring.js';
import type { Region, RegionStats } from '../region/region.js';
import { layout } from '../wire.js';
import { Allowance } from './allowance.js';
import type { Batch } from './batch.js';
import { Contests } from './contests.js';
import type { Entry } from './decoder.js';
import { Director } from './director.js';
import { Footprint } from './footprint.js';
import { type Outcome, pieceBytes } from './format.js';
import type { Answer } from './loading.js';
import { Pace } from './pace.js';
import { Player, type Shared } from './player.js';
import type { RecordingReader } from './reader.js';
import { Recall } from './recall.js';
import { mismatch, type ReplayedRegion, type ReplayReport, type ReplaySettings } from './replay.js';
import type { RecordedQueue, RecordedRegion } from './run.js';
import { type Turns, untilLook } from './turns.js';
import { type Findings, Verifier } from './verifier.js';

/** Answers of a device: a replay counts them and goes on. Anything else ends it. */
const answers = new Set(['ERR_ISMIO_DEVICE', 'ERR_ISMIO_BUSY', 'ERR_ISMIO_INVALID_HANDLE', 'ERR_ISMIO_SYSTEM']);

interface Actor {
  readonly region: Region;
  readonly own: boolean;
  readonly before: RegionStats;
}

export class Stage {
  readonly #settings: ReplaySettings;
  readonly #turns: Turns;
  readonly #totals: RecordingReader['end'];
  readonly #whole: boolean;
  readonly #pace: Pace;
  readonly #shared: Shared;
  readonly #director: Director;
  readonly #footprint: Footprint;
  readonly #failures: ReadonlyMap<number, readonly Outcome[]>;
  readonly #actors = new Map<number, Actor>();
  readonly #players = new Map<number, Player>();
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
    this.#totals = reader.end;
    this.#whole = reader.whole;
    this.#failures = new Map(reader.end.failures);
    this.#pace = new Pace(settings.paced, turns);
    const allowance = new Allowance(settings.memory);
    this.#footprint = new Footprint(new Allowance(settings.memory));
    this.#shared = {
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
    this.#director = new Director(this.#shared, this.#pace, (recorded) => this.#regionOf(recorded));
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
        return this.#shared.recall === null ? undefined : this.#recall(entry, this.#shared.recall);
      case 'run':
        return this.#run(entry);
      case 'submit':
      case 'drain':
        return this.#handOver(entry.what, this.#player(entry.queue), entry.time);
      case 'settled':
        return this.#players.get(entry.queue.number)?.settle();
    }
  }

  #run({ run, offsets, lengths, extent }: Entry & { what: 'run' }): Promise<void> | void {
    this.#footprint.add(this.#regionOf(run.region), run, offsets, lengths, extent);
    if (run.queue === null) return this.#director.direct(run, offsets, lengths);
    return this.#player(run.queue).claim(run, offsets, lengths, this.#batches, this.#failures.get(this.#batches));
  }

  /** Compares what loads of a batch gave when it was recorded, when it has ended here as well. */
  #recall(answer: Answer, recall: Recall): Promise<void> | void {
    const player = this.#players.get(answer.queue.number);
    if (player?.hasInFlight(answer.batch) !== true) return recall.recorded(answer);
    return player.settle().then(() => this.#recall(answer, recall));
  }

  /** Gives blocks back before their time; whether there was one. */
  async makeRoom(): Promise<boolean> {
    const players = [...this.#players.values()];
    const player = players.find((one) => one.inFlight) ?? players.find((one) => one.waiting);
    await player?.makeRoom();
    return player !== undefined;
  }

  /** Waits for everything, and compares. */
  async end(): Promise<void> {
    for (const player of this.#players.values()) await player.settleAll();
    for (const { region } of this.#actors.values()) region.fence();
    for (const number of [...this.#actors.keys()]) await this.#leave(number);
    this.#seconds = (performance.now() - this.#began) / 1000;
  }

  report(): ReplayReport {
    const report: ReplayReport = {
      whole: this.#whole,
      operations: this.#totals.operations,
      bytes: this.#totals.bytes,
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
    for (const player of this.#players.values()) {
      player.queue.close();
      await player.abandon();
    }
    for (const { region, own } of this.#actors.values()) if (own) region.close();
  }

  #open(recorded: RecordedRegion): void {
    const { region, own } = this.#settings.open(recorded);
    this.#turns.add(untilLook);
    const taken = [...this.#actors.values()].some((actor) => actor.region === region);
    if (taken) {
      throw new IsmioError(
        'ERR_ISMIO_OPTION',
        `the recording has more than one region; { region } has to be a function that opens one for each`,
        { region: region.name },
      );
    }
    this.#actors.set(recorded.number, { region, own, before: region.stats() });
    if (own && region.access === 'emulated') this.#footprint.watch(region);
  }

  async #leave(number: number): Promise<void> {
    const actor = this.#actors.get(number);
    if (actor === undefined) return;
    const { region, own, before } = actor;
    for (const player of this.#players.values()) if (player.queue.region === region) await player.settleAll();
    const after = region.stats();
    const verified = (await this.#shared.verifier?.compare(region, this.#turns)) ?? null;
    this.#actors.delete(number);
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
      recalled: this.#shared.recall?.leave(region) ?? null,
    });
    for (const [queue, player] of this.#players) {
      if (player.queue.region === region) this.#end(queue, player);
    }
    if (own) region.close();
    this.#footprint.leave(region);
  }

  #regionOf(recorded: RecordedRegion): Region {
    return (this.#actors.get(recorded.number) as Actor).region;
  }

  #player(recorded: RecordedQueue): Player {
    const known = this.#players.get(recorded.number);
    if (known !== undefined) return known;
    const region = this.#regionOf(recorded.region);
    const { merge = recorded.merge, order = recorded.order } = this.#settings;
    this.#shared.allowance.take(ringBytes(recorded.depth), 'what the queues of the recording have room for');
    const queue = region.queue({ depth: recorded.depth, bytes: 8, merge, order });
    const player = new Player(queue, this.#shared);
    this.#turns.add(untilLook);
    this.#players.set(recorded.number, player);
    return player;
  }

  async #closeQueue(recorded: RecordedQueue): Promise<void> {
    const player = this.#players.get(recorded.number);
    if (player === undefined) return;
    await player.settleAll();
    this.#end(recorded.number, player);
  }

  #end(number: number, player: Player): void {
    player.queue.close();
    this.#shared.allowance.give(ringBytes(player.queue.depth));
    this.#players.delete(number);
  }

  #handOver(recorded: 'submit' | 'drain', player: Player, time: number): Promise<void> | void {
    this.#batches++;
    const { handOver } = this.#settings;
    const how = handOver === 'recorded' ? recorded : handOver;
    const wait = this.#pace.until(time);
    if (wait === undefined && !player.inFlight && how === recorded)
      return how === 'submit' ? player.submit() : player.drain();
    return this.#handOverLater(how, recorded, player, wait);
  }

  async #handOverLater(
    how: 'submit' | 'drain',
    recorded: 'submit' | 'drain',
    player: Player,
    wait: Promise<void> | void,
  ): Promise<void> {
    if (wait !== undefined) await wait;
    if (how === 'submit') await player.settleAll();
    if (how === 'submit') return player.submit();
    player.drain();
    if (recorded === 'submit') await player.settleAll();
  }

  #refused(error: Error): void {
    if (!answers.has((error as IsmioError).code)) throw error;
    this.#failed++;
    this.#firstFailure ??= error;
  }
}

function ringBytes(depth: number): number {
  return entriesFor(depth) * layout.entryBytes;
}
