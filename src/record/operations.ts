// A recording's operations one by one, and what it has in sum.
import { checkFlag, checkOptions, checkText } from '../support/check.js';
import type { Entry } from './decoder.js';
import { loads, type Metadata } from './format.js';
import { Listing } from './listing.js';
import type { RecordedOperation } from './operation.js';
import { RecordingReader } from './reader.js';
import { behind, lengthAt, type RecordedRegion, type Run } from './run.js';

/** How `readRecording` reads a recording. */
export interface ReadOptions {
  /** Takes what is whole of a recording that has no end, instead of refusing it. Default false. */
  partial?: boolean;
}

/** What a recording has in it. */
export interface RecordingInfo extends Metadata {
  /** The file that was looked at. */
  readonly path: string;
  /** How long the file is, in bytes. */
  readonly fileBytes: number;
  /** False for one without an end, of which the rest tells what is whole. */
  readonly whole: boolean;
  /** Operations in it, of regions, queues and pools. */
  readonly operations: number;
  /** Moved, in either direction. */
  readonly bytes: number;
  /** Batches that were submitted or drained. */
  readonly batches: number;
  /** Batches that a device refused, or that were stopped. */
  readonly failedBatches: number;
  /** How long it was recorded, without the time that recording itself took. */
  readonly seconds: number;
  /** The regions that were recorded, in the order of their numbers. */
  readonly regions: readonly RecordedRegion[];
  /** How many queues of these regions were used. */
  readonly queues: number;
  /** Operations by origin and kind, such as 'queued write'. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Operations by length: the power of two that it is below or at; 0 for none. */
  readonly lengths: readonly (readonly [atMost: number, operations: number])[];
}

/**
 * The operations of a recording, in their order. Operations longer than 1 MiB come in pieces.
 * @throws IsmioError ERR_ISMIO_OPEN, ERR_ISMIO_RECORDING
 */
export async function* readRecording(path: string, options: ReadOptions = {}): AsyncGenerator<RecordedOperation> {
  const listing = new Listing();
  for await (const entry of entriesOf(await openRecording(path, options))) {
    if (entry.what === 'run') list(listing, entry.run, entry.offsets);
    else if (entry.what === 'loaded') listing.answer(entry);
    else if (entry.what === 'submit' || entry.what === 'drain' || entry.what === 'settled') {
      listing.add(handOver(entry));
      if (entry.what !== 'settled') listing.handedOver();
    }
    yield* listing.ready();
  }
  yield* listing.ready(true);
}

/**
 * What is in a recording. Reads all of it.
 * @throws IsmioError ERR_ISMIO_OPEN, ERR_ISMIO_RECORDING
 */
export async function inspectRecording(path: string, options: ReadOptions = {}): Promise<RecordingInfo> {
  const regions: RecordedRegion[] = [];
  const kinds: Record<string, number> = {};
  const lengths = new Map<number, number>();
  let queues = 0;
  const reader = await openRecording(path, options);
  for await (const entry of entriesOf(reader)) {
    if (entry.what === 'region') regions.push(entry.region);
    if (entry.what === 'queue') queues++;
    if (entry.what === 'run' && !entry.run.continued) count(entry.run, kinds, lengths);
  }
  const { metadata, end, size, whole } = reader;
  return {
    path,
    ...metadata,
    fileBytes: size,
    whole,
    operations: end.operations,
    bytes: end.bytes,
    batches: end.batches,
    failedBatches: end.failures.length,
    seconds: end.nanoseconds / 1e9,
    regions,
    queues,
    kinds,
    lengths: [...lengths].sort(([a], [b]) => a - b),
  };
}

async function openRecording(path: string, options: ReadOptions): Promise<RecordingReader> {
  checkOptions(options, ['partial'], 'a recording that is read');
  const partial = checkFlag(options.partial ?? false, 'partial');
  return RecordingReader.open(checkText(path, 'path'), partial);
}

/** The records of a recording, which is closed then. */
async function* entriesOf(reader: RecordingReader): AsyncGenerator<Entry> {
  try {
    const decoder = reader.decoder(() => new Uint8Array(0));
    for await (const block of reader.blocks()) {
      for (const entry of reader.entries(block, decoder)) yield entry;
    }
    reader.checkTotals(decoder);
  } finally {
    await reader.close();
  }
}

/** Lists the operations of a run. @param offsets of one that is not regular */
function list(listing: Listing, run: Run, offsets: Float64Array): void {
  const { kind, origin, queue, region, bytesDone, lengths } = run;
  const times = run.times();
  if (run.regular) run.offsets(offsets);
  let at = run.bytesAt;
  for (let index = 0; index < run.count; index++) {
    const length = lengthAt(lengths, index);
    const later = origin === 'queued' && kind === 'load';
    const carried = run.carried(length);
    const none = !run.carries || run.bytes.length === 0;
    const nothing = none || (length > 0 && (later || (loads(kind) && carried === 0)));
    const operation: RecordedOperation = {
      kind,
      origin,
      region: region.number,
      queue: queue?.number ?? null,
      offset: offsets[index] as number,
      length,
      time: times[index] as number,
      payload: nothing ? null : run.bytes.slice(at, at + carried),
      bytesDone,
      purpose: kind === 'fence' ? run.purpose : null,
    };
    if (later && run.carries) listing.addLoad(operation, at);
    else listing.add(operation);
    at = behind(run, at, length);
  }
}

function handOver({ what, queue, time }: Entry & { what: 'submit' | 'drain' | 'settled' }): RecordedOperation {
  const { number, region } = queue;
  const nothing = { offset: 0, length: 0, payload: null, bytesDone: null, purpose: null };
  return { kind: what, origin: 'queued', region: region.number, queue: number, time, ...nothing };
}

function count(run: Run, kinds: Record<string, number>, sizes: Map<number, number>): void {
  const name = `${run.origin} ${run.kind}`;
  kinds[name] = (kinds[name] ?? 0) + run.count;
  if (run.kind === 'fence') return;
  const { lengths } = run;
  const add = (length: number, operations: number): void => {
    const atMost = length === 0 ? 0 : 2 ** Math.ceil(Math.log2(length));
    sizes.set(atMost, (sizes.get(atMost) ?? 0) + operations);
  };
  if (typeof lengths === 'number') add(lengths, run.count);
  else for (const length of lengths) add(length, 1);
}
