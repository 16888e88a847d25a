// Queue operations as data, and what they mean to a plain array of bytes: the model that queues are compared with.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { allocBuffer, type Queue, type QueueOptions, type Region } from 'ismio';
import { loadsOf } from './oracle.js';

export const modelSize = 256;
export const longestOperation = 72;

type Width = 1 | 2 | 4 | 8;

export type Operation =
  | { readonly kind: 'store'; readonly offset: number; readonly length: Width; readonly words: boolean }
  | { readonly kind: 'write' | 'load'; readonly offset: number; readonly length: number; readonly own: boolean }
  | { readonly kind: 'fence'; readonly offset: 0; readonly length: 0 };

const store: fc.Arbitrary<Operation> = fc
  .tuple(fc.constantFrom<Width[]>(1, 2, 4, 8, 8, 8), fc.nat(modelSize / 8 - 1), fc.nat(7), fc.boolean())
  .map(([length, at, within, words]) => {
    return { kind: 'store', offset: at * 8 + (within - (within % length)), length, words };
  });

/** Follows on what may have come before: offsets are few, so that operations often touch and overlap. */
const transfer: fc.Arbitrary<Operation> = fc
  .tuple(fc.constantFrom('write' as const, 'write' as const, 'load' as const), fc.nat(longestOperation), fc.boolean())
  .chain(([kind, length, own]) =>
    fc
      .oneof(
        fc.nat((modelSize - length) >> 3).map((n) => n * 8),
        fc.nat(modelSize - length),
      )
      .map((offset) => {
        return { kind, offset, length, own };
      }),
  );

const fence: fc.Arbitrary<Operation> = fc.constant({ kind: 'fence', offset: 0, length: 0 });

export function anyOperations(most: number): fc.Arbitrary<Operation[]> {
  const one = fc.oneof(
    { weight: 5, arbitrary: store },
    { weight: 4, arbitrary: transfer },
    { weight: 1, arbitrary: fence },
  );
  // A run of words, each at or near the end of the one before: what merging is for.
  const run = fc
    .tuple(fc.nat(20), fc.array(fc.constantFrom(8, 8, 8, 8, 16, -8, 0), { maxLength: 10 }))
    .map(([first, steps]) => {
      let offset = first * 8;
      return [0, ...steps].map((step): Operation => {
        offset = Math.min(Math.max(offset + step, 0), modelSize - 8);
        return { kind: 'store', offset, length: 8, words: true };
      });
    });
  return fc
    .array(fc.oneof({ weight: 6, arbitrary: one.map((each) => [each]) }, { weight: 1, arbitrary: run }), {
      maxLength: most,
    })
    .map((parts) => parts.flat().slice(0, most));
}

export const anyQueue: fc.Arbitrary<QueueOptions> = fc.record({
  depth: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 64, 100)),
  bytes: fc.oneof(fc.integer({ min: longestOperation, max: 200 }), fc.constant(4096)),
  merge: fc.constantFrom('none' as const, 'adjacent' as const, 'any' as const),
  order: fc.constantFrom('strict' as const, 'relaxed' as const),
});

/** The bytes of the operation with this number: all the same, and unlike those of any of the 254 before it. */
export function byteOf(number: number): number {
  return 1 + (number % 255);
}

export function isStore(operation: Operation): boolean {
  return operation.kind === 'store' || operation.kind === 'write';
}

/** Puts the first `bytes` bytes of the operation into the model. */
export function apply(model: Uint8Array, operation: Operation, number: number, bytes: number = operation.length): void {
  if (isStore(operation)) model.fill(byteOf(number), operation.offset, operation.offset + bytes);
}

/** Queues the operation; for a load, with a target that is in the answer. */
export function claim(
  queue: Queue,
  operation: Operation,
  number: number,
): { taken: boolean; target: Uint8Array | null } {
  const { offset, length } = operation;
  const memory = (own: boolean): Uint8Array => (own && length > 0 ? allocBuffer(length) : new Uint8Array(length));
  switch (operation.kind) {
    case 'fence':
      return { taken: queue.fence(), target: null };
    case 'load': {
      const target = memory(operation.own);
      return { taken: queue.load(offset, target), target };
    }
    case 'write':
      return { taken: claimWrite(queue, operation, number, memory(operation.own)), target: null };
    default:
      return { taken: claimStore(queue, operation, byteOf(number)), target: null };
  }
}

/** By turns as a copy and in place in the queue's memory, where the source is not the queue's to keep. */
function claimWrite(
  queue: Queue,
  { offset, length, own }: Operation & { kind: 'write' | 'load' },
  number: number,
  source: Uint8Array,
): boolean {
  if (own || number % 2 === 0) return queue.write(offset, source.fill(byteOf(number)));
  const room = queue.reserve(offset, length);
  room?.bytes.fill(byteOf(number));
  return room?.commit() ?? false;
}

function claimStore(queue: Queue, operation: Operation & { kind: 'store' }, byte: number): boolean {
  const { offset, length, words } = operation;
  const low = byte * 0x0101_0101;
  if (length === 1) return queue.store8(offset, byte);
  if (length === 2) return queue.store16(offset, byte * 0x0101);
  if (length === 4) return queue.store32(offset, low);
  return words ? queue.storeWords(offset, low, low) : queue.store64(offset, BigInt(byte) * 0x0101_0101_0101_0101n);
}

/** How many accesses the operation takes on its own. */
export function accessesOf(region: Region, operation: Operation): number {
  switch (operation.kind) {
    case 'fence':
      return 0;
    case 'store':
      return 1;
    case 'load':
      return loadsOf(operation.offset, operation.length);
    default:
      return region.plan(operation.offset, operation.length).length;
  }
}

/** Queues all of them, which the queue must have room for; the targets of the loads, by their number. */
export function claimAll(queue: Queue, operations: readonly Operation[]): Map<number, Uint8Array> {
  const targets = new Map<number, Uint8Array>();
  for (const [number, operation] of operations.entries()) {
    const { taken, target } = claim(queue, operation, number);
    assert.ok(taken, 'there is room');
    if (target !== null) targets.set(number, target);
  }
  return targets;
}
