// What a recording hears of one region or queue, told to its journal.
import { Double, type Fence, fences, Opcode, states, Word } from '../addon/wire.js';
import type { BatchError } from '../queue/outcomes.js';
import type { Queue } from '../queue/queue.js';
import { tapQueue } from '../queue/queue.js';
import type { SourceBytes } from '../queue/sources.js';
import type { HandedOver, QueueTap } from '../queue/tap.js';
import type { DirectKind, RegionTap } from '../region/tap.js';
import { detached } from '../support/check.js';
import type { EntryWriter } from './entry-writer.js';
import type { Outcome } from './format.js';
import type { Journal } from './journal.js';
import { recordLoads } from './loads.js';
import { bytesOf, isFreed } from './payload.js';
import { BatchLoads } from './targets.js';

export class RegionListener implements RegionTap {
  readonly #journal: Journal;
  readonly #number: number;

  readonly #numberOf: (id: number) => number | undefined;

  /** @param numberOf tells the number of a region in the recording by its id; undefined for one that is not in it */
  constructor(journal: Journal, number: number, numberOf: (id: number) => number | undefined) {
    this.#journal = journal;
    this.#number = number;
    this.#numberOf = numberOf;
  }

  loaded(offset: number, width: number, value: number | bigint, bigEndian: boolean): void {
    this.#journal.write((to, time) => to.access('load', 'direct', this.#number, offset, width, time, value, bigEndian));
  }

  stored(offset: number, width: number, value: number | bigint, bigEndian: boolean): void {
    this.#journal.write((to, time) =>
      to.access('store', 'direct', this.#number, offset, width, time, value, bigEndian),
    );
  }

  moved(kind: 'storeBlock' | 'read' | 'write', offset: number, bytes: Uint8Array): void {
    this.#journal.write((to, time) => to.operation('direct', kind, this.#number, offset, bytes.length, time, bytes));
  }

  fenced(purpose: Fence): void {
    this.#journal.write((to, time) => to.fence('direct', this.#number, time, purpose));
  }

  failed(kind: DirectKind, offset: number, length: number, bytesDone: number, bytes: Uint8Array | null): void {
    const moved = kind === 'load' ? noBytes : (bytes ?? new Uint8Array(length));
    const special = { bytesDone };
    this.#journal.write((to, time) => to.operation('direct', kind, this.#number, offset, length, time, moved, special));
  }

  pooled(kind: 'read' | 'write', offset: number, length: number, bytes: Uint8Array, from: number): void {
    const wanted = kind === 'write' || this.#journal.loads;
    this.#journal.write((to, time) => {
      if (wanted && from + length > bytes.length) throw detached(kind === 'write' ? 'source' : 'target');
      to.operation('pooled', kind, this.#number, offset, length, time, bytes, undefined, from);
    });
  }

  copied(offset: number, length: number, sourceId: number, sourceOffset: number): void {
    // From itself to itself: of a region that is not recorded nobody knows the bytes.
    const region = this.#numberOf(sourceId);
    const source = region === undefined ? { region: this.#number, offset } : { region, offset: sourceOffset };
    const special = { source };
    this.#journal.write((to, time) =>
      to.operation('pooled', 'copy', this.#number, offset, length, time, null, special),
    );
  }

  opened(queue: Queue): void {
    tapQueue(queue, listenTo(this.#journal, queue, this.#number));
  }

  closed(): void {
    this.#journal.write((to) => to.ended('region', this.#number));
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
  readonly #journal: Journal;
  readonly #number: number;
  /** Batches that have not ended, in order. */
  readonly #batches: Listened[] = [];
  /** Loads that have ended, of which bytes may still have to be read where they are. */
  #ended: BatchLoads[] = [];

  constructor(journal: Journal, number: number) {
    this.#journal = journal;
    this.#number = number;
  }

  handedOver(how: 'submit' | 'drain', batch: HandedOver): void {
    const journal = this.#journal;
    let overwrites = false;
    journal.write((to, time) => {
      const all = journal.loads ? new BatchLoads(loadsOf(batch)) : null;
      const sources = this.#operations(to, batch, time, how === 'drain', all);
      const loads = all?.bytes === 0 ? null : all;
      const number = to.handedOver(how, this.#number, time, loads !== null);
      this.#batches.push({ from: batch.from, number, how, sources, loads });
      overwrites = loads !== null && journal.enter(loads);
    });
    if (overwrites) journal.readNow();
  }

  settled(from: number, error: BatchError | null): void {
    const batch = this.#batches[0];
    if (batch?.from !== from) return; // handed over before anybody listened
    this.#batches.shift();
    this.#journal.write((to, time) => {
      const outcomes = error === null ? [] : outcomesOf(error);
      if (error !== null) to.failed(batch.number, outcomes);
      const known = error === null || error.operations.length > 0;
      if (batch.loads !== null) this.#loaded(to, batch, batch.loads, known ? outcomes : null);
      if (batch.how === 'drain') to.settled(this.#number, time);
    });
    if (batch.sources.some(isFreed)) this.#journal.readNow();
  }

  reading(): Promise<void> | null {
    const journal = this.#journal;
    const ended = this.#ended;
    this.#ended = [];
    const reading = journal.reading();
    const leave = (): void => {
      for (const loads of ended) journal.leave(loads);
    };
    if (reading === null) leave();
    return reading?.then(leave) ?? null;
  }

  closed(): void {
    this.#journal.write((to) => to.ended('queue', this.#number));
  }

  /** What the loads of a batch gave. Those of a drain are read later: the program leaves them alone until it is told of its end. */
  #loaded(to: EntryWriter, { number, how }: Listened, loads: BatchLoads, outcomes: readonly Outcome[] | null): void {
    recordLoads(to, number, loads, outcomes, how === 'drain');
    to.answered();
    loads.ended = true;
    if (how === 'drain') this.#ended.push(loads);
    else this.#journal.leave(loads);
  }

  /**
   * Walks the entries once: while they were queued, recording cost nothing.
   * @param later whether the program leaves its own buffers alone until it is told that the batch has ended
   * @param loads notes the loads, if it is wanted
   * @returns the buffers that are read later
   */
  #operations(
    writer: EntryWriter,
    { entries, from, to, sourceAt }: HandedOver,
    time: number,
    later: boolean,
    loads: BatchLoads | null,
  ): SourceBytes[] {
    const { doubles, words, mask } = entries;
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
        writer.storeWords('queued', number, offset, time, low, words[word | Word.high] as number);
      } else if ((opcode & 0xff) === Opcode.store) {
        writer.access('store', 'queued', number, offset, opcode >>> 8, time, words[word | Word.low] as number, false);
      } else if ((opcode & 0xff) === Opcode.fence) {
        writer.fence('queued', number, time, fences[opcode >>> 8] as Fence);
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
          writer.operation('queued', 'write', number, offset, length, time, bytes, undefined, stays ? position : 0);
        } else {
          writer.operation('queued', 'load', number, offset, length, time, null);
          loads?.add(source, position, length, (at - from) | 0);
        }
      }
    }
    return used;
  }
}

/** The listener to a queue of the region with this number; null where the recording has ended. */
export function listenTo(journal: Journal, queue: Queue, region: number): QueueListener | null {
  let number = null as number | null;
  journal.write((to) => {
    number = to.queue(queue, region);
  });
  return number === null || journal.error !== null ? null : new QueueListener(journal, number);
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
