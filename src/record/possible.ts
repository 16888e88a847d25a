// What no program can have done, whatever its recording says: held against the rules of the region that it was recorded on.
import { Damage } from './bytes.js';
import { pieceBytes, stores } from './format.js';
import { lengthAt, type Run } from './run.js';

/** @param offsets of a run that is not regular */
export function checkPossible(run: Run, offsets: Float64Array): void {
  const { region, extent } = run;
  if (extent.longest > pieceBytes)
    throw new Damage(`an operation of ${extent.longest} bytes is longer than a piece can be`);
  if (!(extent.lowest >= 0 && extent.end <= region.size)) {
    throw new Damage(`an operation outside of region ${region.number}, which has ${region.size} bytes`);
  }
  checkWidth(run);
  checkBytesDone(run);
  checkWritable(run);
  checkCopy(run);
  checkStoreBlocks(run, offsets);
}

/** Stores, and direct loads, are one access: of 1, 2, 4 or 8 bytes, at a multiple of that. */
function checkWidth({ kind, origin, lengths, extent }: Run): void {
  if (kind !== 'store' && (kind !== 'load' || origin !== 'direct')) return;
  if (lengths !== 1 && lengths !== 2 && lengths !== 4 && lengths !== 8) {
    throw new Damage(`no ${kind} has ${typeof lengths === 'number' ? lengths : 'several numbers of'} bytes`);
  }
  if ((extent.bits & (lengths - 1)) !== 0)
    throw new Damage(`a ${kind} of ${lengths} bytes that is not at a multiple of ${lengths}`);
}

/** An operation that failed did a part of what it should; one that is a single access did nothing. */
function checkBytesDone({ kind, bytesDone, sum }: Run): void {
  if (bytesDone === null) return;
  const most = kind === 'read' || kind === 'write' ? sum : 0;
  if (bytesDone > most) throw new Damage(`a ${kind} of ${sum} bytes that failed after ${bytesDone}`);
}

/** Queued operations are not looked at: what became of them is not known here. */
function checkWritable({ kind, origin, region, bytesDone, sum }: Run): void {
  if (region.writable || origin === 'queued' || !(stores(kind) || kind === 'copy')) return;
  if ((bytesDone ?? sum) > 0) throw new Damage(`region ${region.number} is stored to, which is not writable`);
}

/** From and to the same place means that the source is not known. */
function checkCopy({ region, sum, extent, source }: Run): void {
  if (source === null) return;
  if (source.offset + sum > source.region.size)
    throw new Damage(`a copy from outside of region ${source.region.number}`);
  const apart = Math.abs(source.offset - extent.lowest);
  if (source.region === region && apart > 0 && apart < sum) throw new Damage('a copy that overlaps itself');
}

/** Those that did not fail. */
function checkStoreBlocks(run: Run, offsets: Float64Array): void {
  if (run.kind !== 'storeBlock' || run.bytesDone !== null) return;
  const { maxStoreBlock, boundary, alignment } = run.region.rules;
  if (run.regular) run.offsets(offsets);
  for (let index = 0; index < run.count; index++) {
    const offset = offsets[index] as number;
    const length = lengthAt(run.lengths, index);
    const crosses = (offset % boundary) + length > boundary;
    const refused = alignment === 'strict' && (offset % 8 !== 0 || length % 8 !== 0 || length === 8);
    if (length < 1 || length > maxStoreBlock || crosses || refused) {
      throw new Damage(
        `a store block of ${length} bytes at ${offset}, which region ${run.region.number} does not take`,
      );
    }
  }
}
