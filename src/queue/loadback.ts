// Loads into memory that the addon cannot write to: they go to the staging memory, and from there to their targets when
// the batch has ended.
import { detached } from '../support/check.js';
import type { Outcomes } from './outcomes.js';
import type { Staging } from './staging.js';

export interface LoadBack {
  /** Ring index of the operation. */
  readonly index: number;
  readonly target: Uint8Array;
  /** Where its bytes are in the staging memory. */
  readonly position: number;
}

/**
 * Copies out what was loaded. Of a batch that failed, `from` and `outcomes` tell how much of each load was done.
 * @returns the error of a target that has gone, if there is one
 */
export function loadBack(
  loads: readonly LoadBack[],
  staging: Staging,
  from: number,
  outcomes: Outcomes | null,
): Error | null {
  let failed: Error | null = null;
  for (const { index, target, position } of loads) {
    const done = outcomes?.bytesDone((index - from) | 0);
    try {
      staging.copyOut(position, done === undefined ? target : target.subarray(0, done));
    } catch {
      failed = detached('target');
    }
  }
  return failed;
}
