// Replays a recording: on any region, as fast as can be or as it happened, with an independent check of the bytes.
import { emulate } from '../region/open.js';
import { checkBetween, checkCallback, checkFlag, checkOptions, checkText, checkWord } from '../support/check.js';
import { rangeError } from '../support/errors.js';
import { madeUpBytes } from './made-up.js';
import { RecordingReader } from './reader.js';
import { checkReplayRegion, type ReplayRegion } from './replay-region.js';
import { Replayer } from './replayer.js';
import type { ReplayReport, ReplaySettings } from './report.js';
import type { RecordedRegion } from './run.js';
import { Turns } from './turns.js';

/** How `replay` runs a recording again. */
export interface ReplayOptions {
  /**
   * What to replay on: a region for recordings that have one only, or a function that opens one for each; what offers the
   * same can stand in for one. Default: an emulated region with the size and rules of the recorded one. A region that was
   * given is not closed.
   */
  region?: ReplayRegion | ((recorded: RecordedRegion) => ReplayRegion);
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
    if (settings.verifyLoads && !reader.metadata.loads) throw nothingLoaded(path);
    const turns = new Turns(options.signal);
    const replayer = new Replayer({ open, ...settings }, reader, turns);
    try {
      await repeat(reader, replayer, turns, options.onProgress);
      return replayer.report();
    } finally {
      await replayer.close();
    }
  } finally {
    await reader.close();
  }
}

async function repeat(
  reader: RecordingReader,
  replayer: Replayer,
  turns: Turns,
  onProgress: ReplayOptions['onProgress'],
): Promise<void> {
  const decoder = reader.decoder(madeUpBytes);
  replayer.begin();
  for await (const block of reader.blocks()) {
    turns.check();
    for (const entry of reader.entries(block, decoder)) {
      const waiting = replayer.entry(entry);
      if (waiting !== undefined) await waiting;
      const turn = turns.after(recordWork);
      if (turn !== undefined) await turn;
    }
    while (reader.buffers.held > mostHeld && (await replayer.makeRoom()));
    onProgress?.(decoder.operations, reader.end.operations);
  }
  reader.checkTotals(decoder);
  await replayer.end();
}

function nothingLoaded(path: string): Error {
  const text = `${path} does not have what was loaded, to compare with it: record it with { loads: true } (ismio record --loads), or replay it without { verifyLoads: true }`;
  return rangeError('ERR_ISMIO_OPTION', text, { path, verifyLoads: true });
}

function opener(region: ReplayOptions['region']): ReplaySettings['open'] {
  if (typeof region === 'function') {
    return (recorded) => ({ region: checkReplayRegion(region(recorded), 'what region gives'), own: true });
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
  if (region !== undefined && typeof region !== 'function') checkReplayRegion(region, 'region', ' or a function');
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
