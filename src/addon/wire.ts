// The words that this package shares with its addon: one table, compared with native/wire/wire.h when the addon is
// loaded. A difference means that the two were not built together, and nothing would be where it is looked for.
import { checkWord } from '../support/check.js';

/**
 * Where the fields of an entry are, in words of 4 bytes. Enums, because a bundler puts their values where they are used;
 * V8 would look up anything else again for every operation. Entries begin at multiples of 8 words, so `|` adds.
 */
export enum Word {
  low = 2,
  high = 3,
  opcode = 4,
  source = 5,
  count = 5,
  word = 6,
}

/** The same in words of 8 bytes, of which an entry has 4. */
export enum Double {
  offset = 0,
  value = 1,
  position = 1,
  step = 1,
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

/** Opcode words. A store has its width in the second byte, a fence its purpose, a series which half of a word comes first. */
export enum Opcode {
  store = 1,
  write = 2,
  load = 3,
  fence = 4,
  series = 5,
  store64 = 1 | (8 << 8),
}

/** Behind the answers: what a call of one narrow access asks for, in words of 8 bytes. The last has the bytes of the access. */
export enum Request {
  region = 24,
  place = 25,
  bytes = 26,
}

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
  'unanswered',
  'deadlock',
] as const;
export type Status = (typeof statuses)[number];

/** Which rule a store block breaks, or a write. In the order of `enum class Rule` in native/access/rules.h. */
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

/** The number that stands for a fence's purpose. */
export function fenceNumber(purpose: Fence): number {
  return fences.indexOf(checkWord(purpose, 'purpose', fences));
}

/** Why a region is lost. In the order of `enum class Loss` in native/backend/backend.h. */
export const losses = ['unknown', 'truncated', 'noSpace', 'device', 'ioError', 'memoryError'] as const;
/** Why a region is lost, in a word that does not change between versions. */
export type Loss = (typeof losses)[number];

/** Why a file cannot be a region. In the order of `enum class Refusal` in native/backend/file/file.h. */
export const refusals = ['none', 'systemError', 'empty', 'tooShort', 'notRegular', 'noWriteCall'] as const;

/** What became of an operation, by the state word of its outcome. */
export const states = ['done', 'partial', 'failed', 'skipped'] as const;
export type State = (typeof states)[number];

/** Where time is spent. In the order of `enum class Stage` in native/support/stages.h; a number past the last is none. */
export const stages = ['enqueue', 'merge', 'plan', 'copy', 'device', 'completion'] as const;
export type Stage = (typeof stages)[number];

/** What JavaScript is asked of its devices. In the order of `enum class Handled` in native/device/desk.h. */
export enum Handled {
  load = 0,
  store = 1,
  storeBlock = 2,
  reset = 3,
  arrived = 4,
  gone = 5,
  refused = 6,
}

/** What is told of a server. In the order of `enum class Happening` in native/vfio-user/common.h. */
export const happenings = ['client', 'gone', 'refused', 'trouble'] as const;

/** What a server counts. In the order of `kCounted` there. */
export const serverCounts = [
  'clients',
  'turnedAway',
  'requests',
  'bytesRead',
  'bytesWritten',
  'refused',
  'late',
  'unexpected',
] as const;

/** Why a server is lost. In the order of `enum class Lost` in native/vfio-user/connection.h. */
export const lostReasons = ['no', 'closed', 'hungUp', 'silent', 'broken'] as const;
export type LostReason = (typeof lostReasons)[number];

/** Why a move of an ISM function is refused. In the order of `enum class Refusal` in native/ism/fabric.h. */
export const moveRefusals = [
  'none',
  'address',
  'unknown',
  'sender',
  'bounds',
  'page',
  'memory',
  'failed',
  'dead',
] as const;

/** What a fabric's adversary does. In the order of `enum class Mischief` in native/ism/adversary.h. */
export const mischiefs = ['delay', 'coalesce', 'reorder', 'fail', 'kill', 'busy'] as const;

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

/** Offsets are in bytes; an entry's fields are read and written through typed arrays of their width. */
export const layout = {
  version: 3,
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
  entryStep: Double.step * 8,
  entryCount: Word.count * 4,
  entryWord: Word.word * 4,
  outcomeBytes: 32,
  outcomeOffset: OutcomeAt.offset * 8,
  outcomeLength: OutcomeAt.length * 8,
  outcomeDone: OutcomeAt.done * 8,
  outcomeOpcode: OutcomeAt.opcode * 4,
  outcomeState: OutcomeAt.state * 4,
  largestDepth: 1 << 20,
  largestBoundary: 1 << 20,
  largestStoreBlock: 1 << 20,
  /** How long the handlers of a device have to answer another thread. */
  answerMilliseconds: 4000,
  busyTries: 64,
} as const;

/** What the addon has to say of itself: the layout, and each number by the name of what it stands for. */
export const table: Readonly<Record<string, number>> = {
  ...layout,
  ...numbered('status', statuses),
  ...numbered('rule', rules),
  ...numbered('loss', losses),
  ...numbered('fence', fences),
  ...numbered('stage', stages),
  ...numbered('state', states),
  ...numbered('refusal', refusals),
  ...numbered('happening', happenings),
  ...numbered('count', serverCounts),
  ...numbered('lost', lostReasons),
  ...numbered('move', moveRefusals),
  ...numbered('mischief', mischiefs),
  ...numbered('field', Object.keys(Field)),
  'handled load': Handled.load,
  'handled store': Handled.store,
  'handled storeBlock': Handled.storeBlock,
  'handled reset': Handled.reset,
  'handled arrived': Handled.arrived,
  'handled gone': Handled.gone,
  'handled refused': Handled.refused,
  'request region': Request.region,
  'request place': Request.place,
  'request bytes': Request.bytes,
  'opcode store': Opcode.store,
  'opcode write': Opcode.write,
  'opcode load': Opcode.load,
  'opcode fence': Opcode.fence,
  'opcode series': Opcode.series,
};

function numbered(what: string, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name, number) => [`${what} ${name}`, number]));
}

/** The names of `table` under which an addon says something else; empty when it fits. */
export function differences(told: Readonly<Record<string, number>>): string[] {
  const names = new Set([...Object.keys(table), ...Object.keys(told)]);
  return [...names]
    .filter((name) => told[name] !== table[name])
    .map((name) => `${name}: ${table[name]} here, ${told[name]} in the addon`);
}
