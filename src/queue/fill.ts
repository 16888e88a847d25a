// Fills claimed entries of the ring by the thousand.
import { Double, Opcode, Word } from '../addon/wire.js';
import type { Lengths, Offsets } from './bulk.js';
import { longestSeries, type Ring, shortestSeries } from './ring.js';

/** Memory that is read in place: what of it is still to be written. */
export interface Source {
  readonly slot: number;
  position: number;
  readonly end: number;
}

/** Looks for a sequence of offsets at each of so many. */
const lookEvery = 32;

/**
 * Fills `count` claimed entries with 8-byte stores, from index `from` of the offsets and twice that of the words on.
 * @param low which word of a pair is the less significant
 * @param last the last offset that is allowed
 * @returns how many: less than `count` where an offset is none
 */
export function fillStores(
  ring: Ring,
  offsets: Offsets,
  values: Uint32Array,
  low: 0 | 1,
  from: number,
  count: number,
  last: number,
): number {
  const end = from + count;
  for (let index = from; index < end; ) {
    const along = sequence(offsets, index, end, last);
    if (along > 0) {
      fillStoresEvery(ring, offsets[index] as number, 8, values, low, index, along);
      index += along;
      continue;
    }
    const stop = Math.min(index + lookEvery, end);
    index = fillEach(ring, offsets, values, low, index, stop, last);
    if (index < stop) return index - from;
  }
  return count;
}

/**
 * How many offsets, from this index on, are each 8 behind the one before it, and allowed; 0 where they are too few for a
 * series.
 */
function sequence(offsets: Offsets, from: number, end: number, last: number): number {
  const first = offsets[from] as number;
  const probe = from + shortestSeries - 1;
  if (probe >= end || offsets[probe] !== first + (shortestSeries - 1) * 8) return 0;
  if (!(first >= 0 && (first & 7) === 0 && Math.floor(first) === first)) return 0;
  const most = Math.min(end - from, Math.floor((last - first) / 8) + 1);
  let along = 1;
  while (along < most && offsets[from + along] === first + along * 8) along++;
  return along < shortestSeries ? 0 : along;
}

/** Up to index `end`: where it stops. */
function fillEach(
  ring: Ring,
  offsets: Offsets,
  values: Uint32Array,
  low: 0 | 1,
  from: number,
  end: number,
  last: number,
): number {
  const { doubles, words } = ring;
  let { at } = ring;
  let index = from;
  for (; index < end; index++) {
    const place = offsets[index] as number;
    if (!(place >= 0 && place <= last && (place & 7) === 0 && Math.floor(place) === place)) break;
    const word = at << 1;
    doubles[at] = place;
    words[word | Word.low] = values[(index << 1) | low] as number;
    words[word | Word.high] = values[(index << 1) | (low ^ 1)] as number;
    words[word | Word.opcode] = Opcode.store64;
    at = (at + 4) | 0;
  }
  ring.at = at;
  return index;
}

/**
 * The same with offsets from `place` on, `stride` bytes apart, all of them legal: as series, as far as they are long enough.
 */
export function fillStoresEvery(
  ring: Ring,
  place: number,
  stride: number,
  values: Uint32Array,
  low: 0 | 1,
  from: number,
  count: number,
): void {
  let done = 0;
  while (count - done >= shortestSeries) {
    const { at } = ring;
    const most = Math.min(count - done, longestSeries);
    ring.series(place + done * stride, stride, low, most);
    const copied = new Uint32Array(values.buffer, values.byteOffset + (from + done) * 8, most * 2);
    ring.words.set(copied, (at << 1) | Word.word);
    ring.at = (at + (most << 2)) | 0;
    done += most;
  }
  for (; done < count; done++) {
    const index = (from + done) << 1;
    const lower = values[index | low] as number;
    const higher = values[index | (low ^ 1)] as number;
    ring.store(Opcode.store64, place + done * stride, lower, higher);
  }
}

/**
 * Fills `count` claimed entries with writes, from index `from` of the offsets and lengths on. Their pieces of the source
 * lie one behind the other.
 * @param size of the region
 * @returns how many: less than `count` where an offset is none, or the source has no more
 */
export function fillWrites(
  ring: Ring,
  offsets: Offsets,
  lengths: Lengths,
  from: number,
  count: number,
  source: Source,
  size: number,
): number {
  const { doubles, words } = ring;
  const { slot, end } = source;
  let { position } = source;
  let { at } = ring;
  for (let index = from; index < from + count; index++) {
    const place = offsets[index] as number;
    const length = typeof lengths === 'number' ? lengths : (lengths[index] as number);
    if (!(place >= 0 && place <= size - length && Math.floor(place) === place && position + length <= end)) break;
    const word = at << 1;
    doubles[at] = place;
    doubles[at | Double.position] = position;
    doubles[at | Double.length] = length;
    words[word | Word.source] = slot;
    words[word | Word.opcode] = Opcode.write;
    position += length;
    at = (at + 4) | 0;
  }
  source.position = position;
  const filled = (at - ring.at) >> 2;
  ring.at = at;
  return filled;
}
