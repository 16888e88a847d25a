// What a recorder hears of one region or queue, in its words.
import { detached } from '../check.js';
import type { BatchError } from '../queue/outcomes.js';
import type { Queue } from '../queue/queue.js';
import { tapQueue } from '../queue/queue.js';
import type { DirectKind, HandedOver, QueueTap, RegionTap, SourceBytes } from '../region/tap.js';
import { Double, type Fence, fences, Opcode, states, Word } from '../wire.js';
import type { Outcome } from './format.js';
import { recordLoads } from './loads.js';
import { bytesOf, isFreed } from './payload.js';
import type { Recorder } from './recorder.js';
import { BatchLoads } from './targets.js';

export class RegionListener implements RegionTap {
  readonly #recorder: Recorder;
  readonly #number: number;

  constructor(recorder: Recorder, number: number) {
    this.#recorder = recorder;
    this.#number = number;
  }

  loaded(offset: number, width: number, value: number | bigint, bigEndian: boolean): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    recorder.write(() => recorder.access('load', 'direct', this.#number, offset, width, time, value, bigEndian));
  }

  stored(offset: number, width: number, value: number | bigint, bigEndian: boolean): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    recorder.write(() => recorder.access('store', 'direct', this.#number, offset, width, time, value, bigEndian));
  }

  moved(kind: 'storeBlock' | 'read' | 'write', offset: number, bytes: Uint8Array): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    recorder.write(() => recorder.operation('direct', kind, this.#number, offset, bytes.length, time, bytes));
  }

  fenced(purpose: Fence): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    recorder.write(() => recorder.fence('direct', this.#number, time, purpose));
  }

  failed(kind: DirectKind, offset: number, length: number, bytesDone: number, bytes: Uint8Array | null): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    const moved = kind === 'load' ? noBytes : (bytes ?? new Uint8Array(length));
    const special = { bytesDone };
    recorder.write(() => recorder.operation('direct', kind, this.#number, offset, length, time, moved, special));
  }

  pooled(kind: 'read' | 'write', offset: number, length: number, bytes: Uint8Array, from: number): void {
    const recorder = this.#recorder;
    const number = this.#number;
    const time = recorder.now();
    recorder.write(() => {
      const wanted = kind === 'write' || recorder.loads;
      if (wanted && from + length > bytes.length) throw detached(kind === 'write' ? 'source' : 'target');
      recorder.operation('pooled', kind, number, offset, length, time, bytes, undefined, from);
    });
  }

  copied(offset: number, length: number, sourceId: number, sourceOffset: number): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    // From itself to itself: of a region that is not recorded nobody knows the bytes.
    const region = recorder.numberOf(sourceId);
    const source = region === undefined ? { region: this.#number, offset } : { region, offset: sourceOffset };
    const special = { source };
    recorder.write(() => recorder.operation('pooled', 'copy', this.#number, offset, length, time, null, special));
  }

  opened(queue: Queue): void {
    tapQueue(queue, this.#recorder.addQueue(queue, this.#number));
  }

  closed(): void {
    this.#recorder.write(() => this.#recorder.ended('region', this.#number));
  }
}

const noBytes = new Uint8Array(0);

interface Listened {
  readonly from: number;
  readonly number: number;
  readonly how: 'submit' | 'drain';
  /** Of which bytes may still have to be read. */
  readonly sources: readonly SourceBytes[];
  /** Null where it has none, or what they load is not recorded. */
  readonly loads: BatchLoads | null;
}

export class QueueListener implements QueueTap {
  readonly #recorder: Recorder;
  readonly #number: number;
  /** Batches that have not ended, in order. */
  readonly #batches: Listened[] = [];
  /** Loads that have ended, of which bytes may still have to be read where they are. */
  #ended: BatchLoads[] = [];

  constructor(recorder: Recorder, number: number) {
    this.#recorder = recorder;
    this.#number = number;
  }

  handedOver(how: 'submit' | 'drain', batch: HandedOver): void {
    const recorder = this.#recorder;
    const time = recorder.now();
    let overwrites = false;
    recorder.write(() => {
      const all = recorder.loads ? new BatchLoads(loadsOf(batch)) : null;
      const sources = this.#operations(batch, time, how === 'drain', all);
      const loads = all?.bytes === 0 ? null : all;
      const number = recorder.handedOver(how, this.#number, time, loads !== null);
      this.#batches.push({ from: batch.from, number, how, sources, loads });
      overwrites = loads !== null && recorder.enter(loads);
    });
    if (overwrites) recorder.readNow();
  }

  settled(from: number, error: BatchError | null): void {
    const batch = this.#batches[0];
    if (batch?.from !== from) return; // handed over before anybody listened
    this.#batches.shift();
    const recorder = this.#recorder;
    const time = recorder.now();
    recorder.write(() => {
      const outcomes = error === null ? [] : outcomesOf(error);
      if (error !== null) recorder.failed(batch.number, outcomes);
      const known = error === null || error.operations.length > 0;
      if (batch.loads !== null) this.#loaded(batch, batch.loads, known ? outcomes : null);
      if (batch.how === 'drain') recorder.settled(this.#number, time);
    });
    if (batch.sources.some(isFreed)) recorder.readNow();
  }

  reading(): Promise<void> | null {
    const recorder = this.#recorder;
    const ended = this.#ended;
    this.#ended = [];
    const reading = recorder.reading();
    const leave = (): void => {
      for (const loads of ended) recorder.leave(loads);
    };
    if (reading === null) leave();
    return reading?.then(leave) ?? null;
  }

  closed(): void {
    this.#recorder.write(() => this.#recorder.ended('queue', this.#number));
  }

  /** What the loads of a batch gave. Those of a drain are read later: the program leaves them alone until it is told of its end. */
  #loaded({ number, how }: Listened, loads: BatchLoads, outcomes: readonly Outcome[] | null): void {
    recordLoads(this.#recorder, number, loads, outcomes, how === 'drain');
    this.#recorder.answered();
    loads.ended = true;
    if (how === 'drain') this.#ended.push(loads);
    else this.#recorder.leave(loads);
  }

  /**
   * Walks the entries once: while they were queued, recording cost nothing.
   * @param later whether the program leaves its own buffers alone until it is told that the batch has ended
   * @param loads notes the loads, if it is wanted
   * @returns the buffers that are read later
   */
  #operations(
    { entries, from, to, sourceAt }: HandedOver,
    time: number,
    later: boolean,
    loads: BatchLoads | null,
  ): SourceBytes[] {
    const { doubles, words, mask } = entries;
    const recorder = this.#recorder;
    const number = this.#number;
    let slot = -1;
    let source = sourceAt(0);
    const used: SourceBytes[] = [];
    for (let at = from; at !== to; at = (at + 1) | 0) {
      const double = (at & mask) << 2;
      const word = double << 1;
      const opcode = words[word | Word.opcode] as number;
      const offset = doubles[double] as number;
      if (opcode === Opcode.store64) {
        const low = words[word | Word.low] as number;
        recorder.storeWords('queued', number, offset, time, low, words[word | Word.high] as number);
      } else if ((opcode & 0xff) === Opcode.store) {
        recorder.access('store', 'queued', number, offset, opcode >>> 8, time, words[word | Word.low] as number, false);
      } else if ((opcode & 0xff) === Opcode.fence) {
        recorder.fence('queued', number, time, fences[opcode >>> 8] as Fence);
      } else {
        const length = doubles[double | Double.length] as number;
        const position = doubles[double | Double.position] as number;
        if ((opcode === Opcode.write || loads !== null) && words[word | Word.source] !== slot) {
          slot = words[word | Word.source] as number;
          source = sourceAt(slot);
          if (later && slot !== 0) used.push(source);
        }
        if (opcode === Opcode.write) {
          // Slot 0 has the copies, and is used again when the batch has ended.
          const stays = later && slot !== 0;
          const bytes = stays ? source : bytesOf(source, position, length);
          recorder.operation('queued', 'write', number, offset, length, time, bytes, undefined, stays ? position : 0);
        } else {
          recorder.operation('queued', 'load', number, offset, length, time, null);
          loads?.add(source, position, length, (at - from) | 0);
        }
      }
    }
    return used;
  }
}

/** How many loads there are. */
function loadsOf({ entries, from, to }: HandedOver): number {
  const { words, mask } = entries;
  let loads = 0;
  for (let at = from; at !== to; at = (at + 1) | 0) {
    if (words[((at & mask) << 3) | Word.opcode] === Opcode.load) loads++;
  }
  return loads;
}

/** What is not done, neighbours alike in one. */
function outcomesOf(error: BatchError): Outcome[] {
  const outcomes: [number, number, number, number][] = [];
  for (const { index, state, bytesDone } of error.operations) {
    if (state === 'done') continue;
    const last = outcomes.at(-1);
    const number = states.indexOf(state);
    if (last !== undefined && last[0] + last[1] === index && last[2] === number && last[3] === bytesDone) last[1]++;
    else outcomes.push([index, 1, number, bytesDone]);
  }
  return outcomes;
}
