// What the loads of a batch gave, into a recording: as few records as can be, with a gap where nobody knows.
import type { SourceBytes } from '../queue/sources.js';
import type { EntryWriter } from './entry-writer.js';
import { type Outcome, pieceBytes } from './format.js';
import { bytesOf } from './payload.js';
import type { BatchLoads } from './targets.js';

/** Bytes of one load, or of several that lie one behind the other. */
interface Part {
  readonly source: SourceBytes;
  readonly from: number;
  length: number;
}

/**
 * Records what the loads of a batch gave that has ended.
 * @param outcomes what of the batch is not done; null where that is not known
 * @param later whether the program leaves its own buffers alone until it is told that the batch has ended
 */
export function recordLoads(
  entries: EntryWriter,
  batch: number,
  loads: BatchLoads,
  outcomes: readonly Outcome[] | null,
  later: boolean,
): void {
  const { positions, lengths, indices, count, lost } = loads;
  let parts: Part[] = [];
  let bytes = 0;
  let unknown = 0;
  const write = (): void => {
    if (parts.length === 0) return;
    entries.loaded(batch, unknown, bytes, (payload) => {
      for (const { source, from, length } of parts) {
        if (later && source.memory !== null) payload.refer(source, from, length);
        else payload.append(bytesOf(source, from, length));
      }
    });
    parts = [];
    [bytes, unknown] = [0, 0];
  };
  const add = (source: SourceBytes, from: number, length: number): void => {
    const last = parts.at(-1);
    if (last?.source === source && last.from + last.length === from) last.length += length;
    else parts.push({ source, from, length });
  };
  const done = doneOf(outcomes);
  for (let load = 0; load < count; load++) {
    const [position, length] = [positions[load], lengths[load]] as [number, number];
    const known = lost.has(load) ? 0 : Math.min(done(indices[load] as number), length);
    for (let at = 0; at < known; ) {
      const part = Math.min(known - at, pieceBytes - bytes);
      add(loads.sourceOf(load), position + at, part);
      at += part;
      bytes += part;
      if (bytes === pieceBytes) write();
    }
    if (known === length) continue;
    write();
    unknown += length - known;
  }
  write();
  if (unknown > 0) entries.loaded(batch, unknown, 0, () => undefined);
}

/** How many bytes of the operations went through, of which the indices ascend. */
function doneOf(outcomes: readonly Outcome[] | null): (index: number) => number {
  if (outcomes === null) return () => 0;
  let next = 0;
  return (index) => {
    for (; next < outcomes.length; next++) {
      const [first, count, , bytesDone] = outcomes[next] as Outcome;
      if (index < first) break;
      if (index < first + count) return bytesDone;
    }
    return Number.POSITIVE_INFINITY;
  };
}
