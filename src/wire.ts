// The words that this package shares with its addon: one table, compared with native/wire/wire.h when the addon is
// loaded. A difference means that the two were not built together, and nothing would be where it is looked for.

/** Offsets are in bytes; an entry's fields are read and written through typed arrays of their width. */
export const layout = {
  version: 1,
  headerBytes: 64,
  entryBytes: 32,
  entryOffset: 0,
  entryValue: 8,
  entryPosition: 8,
  entryDone: 8,
  entryOpcode: 16,
  entrySource: 20,
  entryState: 20,
  entryLength: 24,
  opStore: 1,
  opWrite: 2,
  opLoad: 3,
  opFence: 4,
  stateDone: 0,
  statePartial: 1,
  stateFailed: 2,
  stateSkipped: 3,
  fields: 19,
  fieldIndex: 9,
  fieldOperations: 11,
  statuses: 14,
  rules: 6,
  sourceSlots: 64,
  largestDepth: 1 << 20,
  largestBoundary: 1 << 20,
  largestStoreBlock: 1 << 20,
  busyTries: 64,
} as const;

/** What a native call answers; 0 is success. In the order of `enum class Status` in native/backend/backend.h. */
export const statuses = [
  'ok',
  'outOfRange',
  'misaligned',
  'ruleBroken',
  'readOnly',
  'closed',
  'aborted',
  'deviceError',
  'busy',
  'invalidHandle',
  'regionLost',
  'systemError',
  'badEntry',
  'noMemory',
] as const;
export type Status = (typeof statuses)[number];

/** Which rule a store block breaks. In the order of `enum class Rule` in native/plan/rules.h. */
export const rules = [
  'none',
  'length',
  'maxStoreBlock',
  'boundary',
  'offsetAlignment',
  'lengthAlignment',
] as const;
export type Rule = (typeof rules)[number];

/** What became of an operation, by the state word of its entry. */
export const states = ['done', 'partial', 'failed', 'skipped'] as const;
export type State = (typeof states)[number];

/** Words of the answers array. In the order of `enum Field` in native/wire/wire.h. */
export const Field = {
  status: 0,
  conditionCode: 1,
  deviceStatus: 2,
  rule: 3,
  errno: 4,
  tries: 5,
  offset: 6,
  length: 7,
  done: 8,
  index: 9,
  unfinished: 10,
  operations: 11,
  loads: 12,
  stores: 13,
  storeBlocks: 14,
  bytes: 15,
  merged: 16,
  retries: 17,
  errors: 18,
} as const;

/** The names of `layout` under which an addon says something else; empty when it fits. */
export function differences(told: Readonly<Record<string, number>>): string[] {
  const names = new Set([...Object.keys(layout), ...Object.keys(told)]);
  return [...names]
    .filter((name) => told[name] !== (layout as Record<string, number>)[name])
    .map((name) => `${name}: ${(layout as Record<string, number>)[name]} here, ${told[name]} in the addon`);
}
