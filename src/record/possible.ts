// What no program can have done, whatever its recording says: held against the rules of the region that it was recorded on.
import { lengthAt } from './batch.js';
import { Damage } from './bytes.js';
import { stores } from './format.js';
import type { CopySource, Lengths, Run } from './run.js';

/** Stores, and direct loads, are one access: of 1, 2, 4 or 8 bytes, at a multiple of that. */
export function checkWidth({ kind, origin }: Run, lengths: Lengths, bits: number): void {
  if (kind !== 'store' && (kind !== 'load' || origin !== 'direct')) return;
  if (lengths !== 1 && lengths !== 2 && lengths !== 4 && lengths !== 8) {
    throw new Damage(`no ${kind} has ${typeof lengths === 'number' ? lengths : 'several numbers of'} bytes`);
  }
  if ((bits & (lengths - 1)) !== 0)
    throw new Damage(`a ${kind} of ${lengths} bytes that is not at a multiple of ${lengths}`);
}

/** An operation that failed did a part of what it should; one that is a single access did nothing. */
export function checkBytesDone({ kind, bytesDone, sum }: Run): void {
  if (bytesDone === null) return;
  const most = kind === 'read' || kind === 'write' ? sum : 0;
  if (bytesDone > most) throw new Damage(`a ${kind} of ${sum} bytes that failed after ${bytesDone}`);
}

/** Queued operations are not looked at: what became of them is not known here. */
export function checkWritable({ kind, origin, region, bytesDone, sum }: Run): void {
  if (region.writable || origin === 'queued' || !(stores(kind) || kind === 'copy')) return;
  if ((bytesDone ?? sum) > 0) throw new Damage(`region ${region.number} is stored to, which is not writable`);
}

/** From and to the same place means that the source is not known. */
export function checkCopy({ region, sum }: Run, offset: number, source: CopySource): void {
  if (source.offset + sum > source.region.size)
    throw new Damage(`a copy from outside of region ${source.region.number}`);
  const apart = Math.abs(source.offset - offset);
  if (source.region === region && apart > 0 && apart < sum) throw new Damage('a copy that overlaps itself');
}

/** Those that did not fail. */
export function checkStoreBlocks(run: Run, offsets: Float64Array, lengths: Lengths): void {
  if (run.bytesDone !== null) return;
  const { maxStoreBlock, boundary, alignment } = run.region.rules;
  if (run.regular) run.offsets(offsets, lengths);
  for (let index = 0; index < run.count; index++) {
    const offset = offsets[index] as number;
    const length = lengthAt(lengths, index);
    const crosses = (offset % boundary) + length > boundary;
    const refused = alignment === 'strict' && (offset % 8 !== 0 || length % 8 !== 0 || length === 8);
    if (length < 1 || length > maxStoreBlock || crosses || refused) {
      throw new Damage(
        `a store block of ${length} bytes at ${offset}, which region ${run.region.number} does not take`,
      );
    }
  }
}
