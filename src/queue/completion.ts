// What became of a batch.
import type { Answer } from '../access/failure.js';
import { Field } from '../addon/wire.js';

/** What a batch did. Counts are of this batch alone. */
export interface Completion {
  /** Queued operations in the batch. */
  readonly operations: number;
  /** Accesses the device saw: loads + stores + storeBlocks. */
  readonly issued: number;
  /** Loads of 1, 2, 4 or 8 bytes that went through. */
  readonly loads: number;
  /** Stores of 1, 2, 4 or 8 bytes that went through. */
  readonly stores: number;
  /** Store blocks that went through. */
  readonly storeBlocks: number;
  /** Bytes moved, in either direction. */
  readonly bytes: number;
  /** Times payload was copied between the caller's buffers and the accesses. */
  readonly copies: number;
  /** Writes that were joined to the one before them and planned together with it. */
  readonly merged: number;
  /** Accesses tried again because the device was busy. */
  readonly retries: number;
}

/** Read word by word: a queue that is submitted often would else make more garbage than anything. */
export function completionFrom(answer: Answer): Completion {
  const loads = answer[Field.loads] as number;
  const stores = answer[Field.stores] as number;
  const storeBlocks = answer[Field.storeBlocks] as number;
  return {
    operations: answer[Field.operations] as number,
    issued: loads + stores + storeBlocks,
    loads,
    stores,
    storeBlocks,
    bytes: answer[Field.bytes] as number,
    copies: answer[Field.copies] as number,
    merged: answer[Field.merged] as number,
    retries: answer[Field.retries] as number,
  };
}

export const nothingDone: Completion = Object.freeze({
  operations: 0,
  issued: 0,
  loads: 0,
  stores: 0,
  storeBlocks: 0,
  bytes: 0,
  copies: 0,
  merged: 0,
  retries: 0,
});
