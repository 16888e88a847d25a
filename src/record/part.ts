// What can be taken from a recording that has no end: a program was ended by force, or a file was cut.
import type { Block } from './buffers.js';
import { Decoder } from './decoder.js';
import { blockTypes, type End, type Metadata } from './format.js';

/** What its blocks come to, as far as they are whole. */
export interface Part {
  /** Where it ends in the file. */
  readonly endAt: number;
  /** As the end would have it, of these operations. Of drains that had not ended nobody knows what became of them. */
  readonly end: End;
}

/**
 * Reads every block that is whole.
 * @param first where the first one begins
 * @param blockAt throws for one that is not whole
 */
export async function measurePart(
  first: number,
  { payload, loads }: Metadata,
  blockAt: (position: number, index: number) => Promise<Block>,
): Promise<Part> {
  const decoder = new Decoder(payload ? null : new Uint8Array(0), null, loads);
  const failures: [batch: number, outcomes: End['failures'][number][1]][] = [];
  let part: Part = { endAt: first, end: { operations: 0, bytes: 0, batches: 0, nanoseconds: 0, failures } };
  let operations = 0;
  let bytes = 0;
  for (let index = 1; ; index++) {
    const known = failures.length;
    let block: Block;
    try {
      block = await blockAt(part.endAt, index);
    } catch {
      return part;
    }
    try {
      if (block.type !== blockTypes.operations) return part;
      for (const entry of decoder.entries(block)) {
        if (entry.what === 'failed') failures.push([entry.batch, entry.outcomes]);
        if (entry.what === 'run') bytes += entry.run.bytesDone ?? entry.run.sum;
      }
    } catch {
      failures.length = known;
      return part;
    } finally {
      block.release();
    }
    operations += block.operations;
    // What was queued and is in no batch was not handed over, so far as is known.
    const handedOver = operations - decoder.waitingOperations;
    const { batches, clock: nanoseconds } = decoder;
    part = { endAt: block.next, end: { operations: handedOver, bytes, batches, nanoseconds, failures } };
  }
}
