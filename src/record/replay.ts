// Replays a recording: on any region, as fast as can be or as it happened, with an independent check of the bytes.
import { checkBetween, checkCallback, checkFlag, checkOptions, checkText, checkWord } from '../check.js';
import { hex, IsmioError, rangeError, shown, typeError } from '../errors.js';
import { emulate } from '../region/open.js';
import { checkRegion, Region } from '../region/region.js';
import { Damage } from './bytes.js';
import { Decoder } from './decoder.js';
import { madeUpBytes } from './made-up.js';
import { RecordingReader } from './reader.js';
import type { Recalled } from './recall.js';
import type { RecordedRegion } from './run.js';
import { Stage } from './stage.js';
import { Turns } from './turns.js';
import type { Verified, Wrong } from './verifier.js';

/** How `replay` runs a recording again. */
export interface ReplayOptions {
  /**
   * What to replay on: a region for recordings that have one only, or a function that opens one for each. Default: an
   * emulated region with the size and rules of the recorded one. A region that was given is not closed.
   */
  region?: Region | ((recorded: RecordedRegion) => Region);
  /** 'full': one operation after the other. 'recorded': none before its time. Default 'full'. */
  pace?: 'full' | 'recorded';
  /** Instead of the merge mode and the order of the recorded queues. */
  merge?: 'none' | 'adjacent' | 'any';
  /** 'strict' or 'relaxed', instead of the order of the recorded queues. */
  order?: 'strict' | 'relaxed';
  /** How batches are handed over: all on this thread, all on the queue's own, or as recorded (default). */
  handOver?: 'recorded' | 'submit' | 'drain';
  /** Reads everything back and compares it. Default true. */
  verify?: boolean;
  /**
   * Compares what every load and read gives with what it gave when it was recorded. For recordings made with
   * { loads: true }; another is refused with ERR_ISMIO_OPTION. Default false.
   */
  verifyLoads?: boolean;
  /** Takes what is whole of a recording that has no end, instead of refusing it. Default false. */
  partial?: boolean;
  /** Bytes that the check and the queues may take, and that emulated regions opened here may hold. Default 2 GiB. */
  memory?: number;
  /** Stops after some milliseconds, or the batch that is under way; rejected with ERR_ISMIO_ABORTED. */
  signal?: AbortSignal;
  /** Called with the operations that are done and those of the whole recording, after each block of it. */
  onProgress?: (done: number, total: number) => void;
}

/** What became of one region. Counts are of the replay alone. */
export interface ReplayedRegion {
  /** The name of the recorded region. */
  readonly name: string;
  /** How long the region is, in bytes. */
  readonly size: number;
  /** Loads of 1, 2, 4 or 8 bytes that went through. */
  readonly loads: number;
  /** Stores of 1, 2, 4 or 8 bytes that went through. */
  readonly stores: number;
  /** Store blocks that went through. */
  readonly storeBlocks: number;
  /** Bytes moved by them, in either direction. */
  readonly bytes: number;
  /** Queued writes that were joined to the one before them. */
  readonly merged: number;
  /** Accesses tried again because the device was busy. */
  readonly retries: number;
  /** What reading back found out; null where that was not asked for. */
  readonly verified: Verified | null;
  /** What loads gave, held against what they gave when they were recorded; null without `verifyLoads`. */
  readonly recalled: Recalled | null;
}

/** What `replay` did, and whether it found what was recorded. */
export interface ReplayReport {
  /** False for a recording without an end, of which the part that is whole was replayed. */
  readonly whole: boolean;
  /** Operations that were run again. */
  readonly operations: number;
  /** Moved by them, in either direction. */
  readonly bytes: number;
  /** Batches that were handed over again. */
  readonly batches: number;
  /** From the first operation to the last, with the reading of the file and, where it was asked for, the check. */
  readonly seconds: number;
  /** Operations and batches that a device refused. */
  readonly failed: number;
  /** The first of the errors of those; null where there was none. */
  readonly firstFailure: Error | null;
  /** Batches that went in several parts, because their payload is more than a replay holds. */
  readonly split: number;
  /** What became of each region, in the order of their numbers in the recording. */
  readonly regions: readonly ReplayedRegion[];
}

export interface ReplaySettings {
  readonly open: (recorded: RecordedRegion) => { region: Region; own: boolean };
  readonly paced: boolean;
  readonly merge: ReplayOptions['merge'];
  readonly order: ReplayOptions['order'];
  readonly handOver: 'recorded' | 'submit' | 'drain';
  readonly verify: boolean;
  readonly verifyLoads: boolean;
  readonly memory: number;
}

const names = [
  'region',
  'pace',
  'merge',
  'order',
  'handOver',
  'verify',
  'verifyLoads',
  'partial',
  'memory',
  'signal',
  'onProgress',
];

/** Blocks held at once, by what is queued or in flight: then room is made. */
const mostHeld = 20;

/** What a record takes by itself, in bytes that are moved in the same time. */
const recordWork = 1024;

/**
 * Issues the operations of a recording again, in their order.
 * @throws IsmioError ERR_ISMIO_RECORDING with the position, ERR_ISMIO_MISMATCH with the offset of the first byte that is
 * not what it should be; RangeError ERR_ISMIO_OPTION
 */
export async function replay(path: string, options: ReplayOptions = {}): Promise<ReplayReport> {
  checkText(path, 'path');
  const { open, ...settings } = checkReplayOptions(options);
  const reader = await RecordingReader.open(path, checkFlag(options.partial ?? false, 'partial'));
  try {
    const { payload, loads } = reader.metadata;
    if (settings.verifyLoads && !loads) throw nothingLoaded(path);
    const made = payload ? null : madeUpBytes();
    const turns = new Turns(options.signal);
    const stage = new Stage({ open, ...settings }, reader, turns);
    try {
      await play(reader, stage, new Decoder(made, reader.end.failures, loads), turns, options);
      return stage.report();
    } finally {
      await stage.close();
    }
  } finally {
    await reader.close();
  }
}

async function play(
  reader: RecordingReader,
  stage: Stage,
  decoder: Decoder,
  turns: Turns,
  options: ReplayOptions,
): Promise<void> {
  let done = 0;
  stage.begin();
  for await (const block of reader.blocks()) {
    turns.check();
    try {
      for (const entry of decoder.entries(block)) {
        const waiting = stage.entry(entry);
        if (waiting !== undefined) await waiting;
        const turn = turns.after(recordWork);
        if (turn !== undefined) await turn;
      }
    } catch (error) {
      throw error instanceof Damage ? reader.damaged(block.position, error.message, error) : error;
    } finally {
      done += block.operations;
      block.release();
    }
    while (reader.buffers.held > mostHeld && (await stage.makeRoom()));
    options.onProgress?.(done, reader.end.operations);
  }
  reader.checkTotals(done, decoder);
  await stage.end();
}

/** The error of a replay whose bytes are not what they should be. */
export function mismatch(wrong: Wrong, report: ReplayReport): IsmioError {
  const { region, what, offset, expected, found } = wrong;
  const who = what === 'region' ? `${region.name} has` : `a load from ${region.name} gave`;
  const other = what === 'recorded' ? 'when it was recorded it gave' : 'after the operations before it has to be';
  return new IsmioError(
    'ERR_ISMIO_MISMATCH',
    `${who} ${hex(found)} at offset ${hex(offset)}; ${other} ${hex(expected)}`,
    { region: region.name, offset, expected, found, report },
  );
}

function nothingLoaded(path: string): Error {
  const text = `${path} does not have what was loaded, to compare with it: record it with { loads: true } (ismio record --loads), or replay it without { verifyLoads: true }`;
  return rangeError('ERR_ISMIO_OPTION', text, { path, verifyLoads: true });
}

function opener(region: ReplayOptions['region']): ReplaySettings['open'] {
  if (typeof region === 'function') {
    return (recorded) => ({ region: checkRegion(region(recorded), 'what region gives'), own: true });
  }
  if (region !== undefined) return () => ({ region, own: false });
  return ({ name, size, kind, rules }) => ({ region: emulate({ name, size, kind, rules }), own: true });
}

function checkReplayOptions(options: ReplayOptions): ReplaySettings {
  checkOptions(options, names, 'replay');
  const { region, merge, order } = options;
  checkCallback(options.onProgress, 'onProgress');
  if (merge !== undefined) checkWord(merge, 'merge', ['none', 'adjacent', 'any']);
  if (order !== undefined) checkWord(order, 'order', ['strict', 'relaxed']);
  if (region !== undefined && typeof region !== 'function' && !(region instanceof Region)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `region must be a Region or a function, not ${shown(region)}`, {
      region,
    });
  }
  return {
    open: opener(region),
    paced: checkWord(options.pace ?? 'full', 'pace', ['full', 'recorded']) === 'recorded',
    merge,
    order,
    handOver: checkWord(options.handOver ?? 'recorded', 'handOver', ['recorded', 'submit', 'drain']),
    verify: checkFlag(options.verify ?? true, 'verify'),
    verifyLoads: checkFlag(options.verifyLoads ?? false, 'verifyLoads'),
    memory: checkBetween(options.memory ?? 2 ** 31, 'memory', 2 ** 13, Number.MAX_SAFE_INTEGER),
  };
}
