// The words that this package shares with its addon: one table, compared with native/wire/wire.h when the addon is
// loaded. A difference means that the two were not built together, and nothing would be where it is looked for.

/**
 * Where the fields of an entry are, in words of 4 bytes. Enums, because a bundler puts their values where they are used;
 * V8 would look up anything else again for every operation. Entries begin at multiples of 8 words, so `|` adds.
 */
export enum Word {
  low = 2,
  high = 3,
  opcode = 4,
  source = 5,
}

/** The same in words of 8 bytes, of which an entry has 4. */
export enum Double {
  offset = 0,
  value = 1,
  position = 1,
  length = 3,
}

/** Where the fields of an outcome are: what is before `opcode` in words of 8 bytes, the rest in words of 4. */
export enum OutcomeAt {
  offset = 0,
  length = 1,
  done = 2,
  opcode = 6,
  state = 7,
}

/** Opcode words. A store has its width in the second byte, a fence its purpose. */
export enum Opcode {
  store = 1,
  write = 2,
  load = 3,
  fence = 4,
  store64 = 1 | (8 << 8),
}

/** Offsets are in bytes; an entry's fields are read and written through typed arrays of their width. */
export const layout = {
  version: 2,
  headerBytes: 64,
  headerCopied: 4,
  headerTimed: 8,
  headerObserved: 12,
  entryBytes: 32,
  entryOffset: Double.offset * 8,
  entryLow: Word.low * 4,
  entryHigh: Word.high * 4,
  entryPosition: Double.position * 8,
  entryOpcode: Word.opcode * 4,
  entrySource: Word.source * 4,
  entryLength: Double.length * 8,
  outcomeBytes: 32,
  outcomeOffset: OutcomeAt.offset * 8,
  outcomeLength: OutcomeAt.length * 8,
  outcomeDone: OutcomeAt.done * 8,
  outcomeOpcode: OutcomeAt.opcode * 4,
  outcomeState: OutcomeAt.state * 4,
  opStore: Opcode.store,
  opWrite: Opcode.write,
  opLoad: Opcode.load,
  opFence: Opcode.fence,
  stateDone: 0,
  statePartial: 1,
  stateFailed: 2,
  stateSkipped: 3,
  fields: 24,
  fieldIndex: 10,
  fieldOperations: 12,
  statuses: 14,
  rules: 7,
  losses: 6,
  fences: 3,
  stages: 6,
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

/** Which rule a store block breaks, or a write. In the order of `enum class Rule` in native/plan/rules.h. */
export const rules = [
  'none',
  'length',
  'maxStoreBlock',
  'boundary',
  'offsetAlignment',
  'lengthAlignment',
  'singleStores',
] as const;
export type Rule = (typeof rules)[number];

/** What a fence is for. In the order of `enum class Fence` in native/backend/backend.h. */
export const fences = ['full', 'beforeDoorbell', 'afterStatus'] as const;
/** What a fence is for: everything, the stores before a doorbell, or the loads after a status. */
export type Fence = (typeof fences)[number];

/** Why a region is lost. In the order of `enum class Loss` in native/backend/backend.h. */
export const losses = ['unknown', 'truncated', 'noSpace', 'device', 'ioError', 'memoryError'] as const;
/** Why a region is lost, in a word that does not change between versions. */
export type Loss = (typeof losses)[number];

/** What became of an operation, by the state word of its outcome. */
export const states = ['done', 'partial', 'failed', 'skipped'] as const;
export type State = (typeof states)[number];

/** Where time is spent. In the order of `enum class Stage` in native/region/stages.h; a number past the last is none. */
export const stages = ['enqueue', 'merge', 'plan', 'copy', 'device', 'completion'] as const;
export type Stage = (typeof stages)[number];

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
  unknownLoads: 9,
  index: 10,
  unfinished: 11,
  operations: 12,
  loads: 13,
  stores: 14,
  storeBlocks: 15,
  bytes: 16,
  merged: 17,
  retries: 18,
  errors: 19,
  copies: 20,
  began: 21,
  ended: 22,
  loss: 23,
} as const;

/** The names of `layout` under which an addon says something else; empty when it fits. */
export function differences(told: Readonly<Record<string, number>>): string[] {
  const names = new Set([...Object.keys(layout), ...Object.keys(told)]);
  return [...names]
    .filter((name) => told[name] !== (layout as Record<string, number>)[name])
    .map((name) => `${name}: ${(layout as Record<string, number>)[name]} here, ${told[name]} in the addon`);
}
