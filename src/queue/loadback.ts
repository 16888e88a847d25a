// Loads into memory that the addon cannot write to: they go to the staging memory, and from there to their targets when
// the batch has ended.
import { detached } from '../check.js';
import type { OperationOutcome } from './completion.js';
import type { Staging } from './staging.js';

export interface LoadBack {
  /** Ring index of the operation. */
  readonly index: number;
  readonly target: Uint8Array;
  /** Where its bytes are in the staging memory. */
  readonly position: number;
}

/**
 * Copies out what was loaded. Of a batch that failed, `from` and `outcomes` tell which loads were done: every one before
 * the first outcome, and of the others as much as it says.
 * @returns the error of a target that has gone, if there is one
 */
export function loadBack(
  loads: readonly LoadBack[],
  staging: Staging,
  from: number,
  outcomes: readonly OperationOutcome[] | null,
): Error | null {
  let failed: Error | null = null;
  for (const { index, target, position } of loads) {
    const at = (index - from) | 0;
    const outcome = outcomes?.find((one) => one.index === at);
    try {
      staging.copyOut(position, outcome === undefined ? target : target.subarray(0, outcome.bytesDone));
    } catch {
      failed = detached('target');
    }
  }
  return failed;
}
