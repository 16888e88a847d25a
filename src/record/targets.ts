// Where queued loads put their bytes until a recorder has read them. Of two loads into the same memory, in one batch or in
// several in flight, the memory has the bytes of one, and nobody knows of which: what such a load gave is not known.
import type { SourceBytes } from '../queue/sources.js';
import { firstThat } from './intervals.js';

/** The loads of a batch, in order. */
export class BatchLoads {
  /** Of each load: which of the sources its bytes are in, and where; how many they are; its index in the batch. */
  readonly sources: SourceBytes[] = [];
  readonly places: Uint32Array;
  readonly positions: Float64Array;
  readonly lengths: Float64Array;
  readonly indices: Uint32Array;
  count = 0;
  /** Of all loads. */
  bytes = 0;
  /** Those of which the bytes are lost. */
  readonly lost = new Set<number>();
  /** It has ended, and its bytes stay where they are until they are read. */
  ended = false;
  readonly spans: Span[] = [];

  /** @param most how many loads there can be */
  constructor(most: number) {
    this.places = new Uint32Array(most);
    this.positions = new Float64Array(most);
    this.lengths = new Float64Array(most);
    this.indices = new Uint32Array(most);
  }

  add(source: SourceBytes, position: number, length: number, index: number): void {
    const { sources, count } = this;
    const place = sources[sources.length - 1] === source ? sources.length : sources.push(source);
    this.places[count] = place - 1;
    this.positions[count] = position;
    this.lengths[count] = length;
    this.indices[count] = index;
    this.count = count + 1;
    this.bytes += length;
  }

  sourceOf(load: number): SourceBytes {
    return this.sources[this.places[load] as number] as SourceBytes;
  }
}

/** Memory that loads of these batches go to. */
interface Span {
  readonly from: number;
  end: number;
  /** One or several; none when all of it has been read. */
  readonly batches: Set<BatchLoads>;
  /** The loads of its only batch, one behind the other; null where there are several in one place, all of which are lost. */
  loads: number[] | null;
}

/** Spans of one memory: ascending, and apart from each other. */
interface Known {
  spans: Span[];
  /** With so many, those that are left are taken away. */
  sweptAt: number;
}

const fewestSwept = 64;

export class Targets {
  readonly #known = new WeakMap<object, Known>();

  /**
   * The batch is handed over: until it leaves, nothing else should go where its loads go.
   * @returns whether it overwrites what batches that have ended have loaded: that has to be read before
   */
  enter(batch: BatchLoads): boolean {
    let overwrites = false;
    for (const [memory, loads] of byMemory(batch)) {
      const known = this.#of(memory);
      const spans = spansOf(batch, loads);
      for (const span of spans) batch.spans.push(span);
      // One by one as long as that moves less than to make the list anew.
      const each = spans.length * 16 < known.spans.length;
      for (const added of each ? spans.map((span) => [span]) : [spans]) overwrites = insert(known, added) || overwrites;
      if (known.spans.length < known.sweptAt) continue;
      known.spans = known.spans.filter(({ batches }) => batches.size > 0);
      known.sweptAt = Math.max(fewestSwept, 2 * known.spans.length);
    }
    return overwrites;
  }

  /** Its bytes have been read. */
  leave(batch: BatchLoads): void {
    for (const { batches } of batch.spans) batches.delete(batch);
  }

  #of(memory: object): Known {
    let known = this.#known.get(memory);
    if (known === undefined) {
      known = { spans: [], sweptAt: fewestSwept };
      this.#known.set(memory, known);
    }
    return known;
  }
}

/** The loads of a batch that have bytes, by the memory that others could put something into. */
function byMemory({ sources, places, lengths, count }: BatchLoads): Map<object, number[]> {
  const result = new Map<object, number[]>();
  const bySource = sources.map(({ memory }) => {
    const loads = memory === null ? null : (result.get(memory) ?? []);
    if (memory !== null && loads !== null) result.set(memory, loads);
    return loads;
  });
  for (let load = 0; load < count; load++) {
    if ((lengths[load] as number) > 0) bySource[places[load] as number]?.push(load);
  }
  for (const [memory, loads] of result) if (loads.length === 0) result.delete(memory);
  return result;
}

/** What these loads of one batch touch: those that touch each other in one, and apart from them those that overlap. */
function spansOf(batch: BatchLoads, loads: number[]): Span[] {
  const { positions, lengths } = batch;
  const fromOf = (load: number): number => positions[load] as number;
  if (!ascend(loads, positions)) loads.sort((a, b) => fromOf(a) - fromOf(b));
  const spans: Span[] = [];
  let last = null as Span | null;
  for (let index = 0; index < loads.length; ) {
    const load = loads[index] as number;
    const from = fromOf(load);
    let end = from + (lengths[load] as number);
    const first = index++;
    for (; index < loads.length && fromOf(loads[index] as number) < end; index++) {
      const next = loads[index] as number;
      end = Math.max(end, fromOf(next) + (lengths[next] as number));
    }
    const alone = index - first === 1;
    if (alone && last?.end === from && last.loads !== null) {
      last.loads.push(load);
      last.end = end;
      continue;
    }
    if (!alone) for (const one of loads.slice(first, index)) batch.lost.add(one);
    last = { from, end, batches: new Set([batch]), loads: alone ? [load] : null };
    spans.push(last);
  }
  return spans;
}

function ascend(loads: readonly number[], positions: Float64Array): boolean {
  for (let index = 1; index < loads.length; index++) {
    if ((positions[loads[index] as number] as number) < (positions[loads[index - 1] as number] as number)) return false;
  }
  return true;
}

/** @param added ascending, and apart from each other. Whether something of a batch that has ended was in its place */
function insert(known: Known, added: readonly Span[]): boolean {
  const { spans } = known;
  const [first, last] = [added[0], added.at(-1)] as [Span, Span];
  const low = firstThat(spans, ({ end }) => end > first.from);
  const high = firstThat(spans, ({ from }) => from >= last.end);
  const between: Span[] = [];
  let overwrites = false;
  for (const span of spans.slice(low, high)) {
    const next = added[firstThat(added, ({ end }) => end > span.from)] as Span;
    const ended = next.from < span.end && [...span.batches].every((batch) => batch.ended);
    if (!ended) between.push(span);
    overwrites ||= ended && span.batches.size > 0;
  }
  const all = between.length === 0 ? added : joined([...between, ...added].flatMap(loadByLoad));
  if (low === spans.length) for (const span of all) spans.push(span);
  else if (all.length === 1) spans.splice(low, high - low, all[0] as Span);
  else known.spans = [...spans.slice(0, low), ...all, ...spans.slice(high)];
  return overwrites;
}

/** The same in spans of one load each, or of several that are lost. */
function loadByLoad(span: Span): Span[] {
  const { loads, batches } = span;
  if (loads === null || loads.length === 1) return [span];
  const [batch] = batches as Set<BatchLoads> & Iterable<BatchLoads>;
  if (batch === undefined) return [];
  return loads.map((load) => {
    const from = batch.positions[load] as number;
    const one = { from, end: from + (batch.lengths[load] as number), batches: new Set([batch]), loads: [load] };
    batch.spans.push(one);
    return one;
  });
}

/** Those that overlap in one: what goes there is lost. */
function joined(spans: Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans.sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last === undefined || span.from >= last.end) {
      result.push(span);
      continue;
    }
    last.end = Math.max(last.end, span.end);
    for (const one of [last, span]) {
      for (const batch of one.batches) for (const load of one.loads ?? []) batch.lost.add(load);
      one.loads = null;
    }
    for (const batch of span.batches) {
      if (last.batches.has(batch)) continue;
      last.batches.add(batch);
      batch.spans.push(last);
    }
  }
  return result;
}
