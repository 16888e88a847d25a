// Blocks into records. Everything is held against what the recording itself said before: no region, queue, offset or
// length is passed on that could not have been.

import { fences } from '../wire.js';
import { lengthAt } from './batch.js';
import type { Block } from './buffers.js';
import { ByteReader, Damage } from './bytes.js';
import { checkOutcomes } from './documents.js';
import {
  blockHeaderBytes,
  contentHeaderBytes,
  type End,
  lengthModes,
  limits,
  loads,
  mergeWords,
  type OperationKind,
  type Origin,
  type Outcome,
  offsetModes,
  operationKinds,
  orderWords,
  pieceBytes,
  records,
  runFlags,
  stores,
} from './format.js';
import { type Answer, Loading } from './loading.js';
import { checkBytesDone, checkCopy, checkStoreBlocks, checkWidth, checkWritable } from './possible.js';
import {
  type CopySource,
  type Extent,
  type Lengths,
  measure,
  type RecordedQueue,
  type RecordedRegion,
  Run,
} from './run.js';

export type Entry =
  | { readonly what: 'region' | 'regionClosed'; readonly region: RecordedRegion }
  | { readonly what: 'queue' | 'queueClosed'; readonly queue: RecordedQueue }
  | { readonly what: 'failed'; readonly batch: number; readonly outcomes: readonly Outcome[] }
  | ({ readonly what: 'loaded' } & Answer)
  | { readonly what: 'submit' | 'drain' | 'settled'; readonly queue: RecordedQueue; readonly time: number }
  | {
      readonly what: 'run';
      readonly run: Run;
      readonly offsets: Float64Array;
      readonly lengths: Lengths;
      readonly extent: Extent;
    };

const allowed: Readonly<Record<Origin, readonly OperationKind[]>> = {
  direct: ['load', 'store', 'storeBlock', 'read', 'write', 'fence'],
  queued: ['load', 'store', 'write', 'fence'],
  pooled: ['read', 'write', 'copy'],
};

const largestSize = 2 ** 48;
const largestNumber = 2 ** 32;

/** Where the next column and the next payload of a block are. */
interface Place {
  readonly bytes: Uint8Array;
  column: number;
  readonly columnsEnd: number;
  payload: number;
  readonly payloadEnd: number;
}

interface OpenQueue {
  readonly queue: RecordedQueue;
  /** Its drains that have not ended. */
  drains: number;
}

/** The operation that a further piece would go on with. */
interface Last {
  readonly run: Pick<Run, 'origin' | 'kind' | 'region' | 'queue'>;
  readonly end: number;
}

export class Decoder {
  readonly #made: Uint8Array | null;
  readonly #failures: ReadonlyMap<number, readonly Outcome[]> | null;
  readonly #regions = new Map<number, RecordedRegion>();
  readonly #queues = new Map<number, OpenQueue>();
  /** The queue whose operations were the last ones and are to be handed over, and how many they are. */
  #waiting: RecordedQueue | null = null;
  #waitingOperations = 0;
  #last: Last | null = null;
  /** Null where the recording has nothing that was loaded. */
  readonly #loading: Loading | null;
  /** Batches so far. */
  batches = 0;
  readonly #offsets = new Float64Array(limits.run);
  #clock = 0;
  #operations = 0;

  /**
   * @param made the bytes to store where the recording has none; null for a recording that has them
   * @param failures what the end says of the batches; null where it is not known, because the end is missing
   * @param loaded whether it has what was loaded
   */
  constructor(made: Uint8Array | null, failures: End['failures'] | null, loaded: boolean) {
    this.#made = made;
    this.#loading = loaded ? new Loading() : null;
    this.#failures = failures === null ? null : new Map(failures);
  }

  /** Whether there are operations that no batch has handed over yet. */
  get waiting(): boolean {
    return this.#waiting !== null;
  }

  /** How many they are. */
  get waitingOperations(): number {
    return this.#waitingOperations;
  }

  /** Nanoseconds since the recording began, of the last record that has a time. */
  get clock(): number {
    return this.#clock;
  }

  /** The records of a block, in order. The offsets of a run are good until the next one is asked for. */
  *entries(block: Block): Generator<Entry> {
    const { reader, place } = open(block);
    let operations = 0;
    while (!reader.ended && reader.peek !== 0) {
      const first = reader.byte();
      const entry =
        first >= records.direct ? this.#run(first, block, reader, place) : this.#record(first, reader, place);
      if (entry.what === 'run' && !entry.run.continued) operations += entry.run.count;
      if (operations > block.operations) throw new Damage(`more than the ${block.operations} operations it speaks of`);
      yield entry;
    }
    if (!reader.onlyPadding) throw new Damage('something other than zeros behind the last record');
    if (operations !== block.operations) throw new Damage(`${operations} operations instead of ${block.operations}`);
    if (place.column !== place.columnsEnd) throw new Damage('columns that no run has');
    if (place.payload !== place.payloadEnd) throw new Damage('payload that no run has');
  }

  #record(first: number, reader: ByteReader, place: Place): Entry {
    const number = reader.varint('a number', largestNumber);
    if (first === records.failed) return this.#failedBatch(number, reader);
    this.#last = null;
    if (first === records.submit) return { what: 'submit', ...this.#handOver(number, reader, false) };
    if (first === records.drain) return { what: 'drain', ...this.#handOver(number, reader, true) };
    this.#checkHandedOver(null);
    switch (first) {
      case records.region:
        return { what: 'region', region: this.#defineRegion(number, reader) };
      case records.queue:
        return { what: 'queue', queue: this.#defineQueue(number, reader) };
      case records.regionClosed: {
        const region = this.#region(number);
        this.#regions.delete(number);
        return { what: 'regionClosed', region };
      }
      case records.queueClosed: {
        const { queue } = this.#openQueue(number);
        this.#queues.delete(number);
        return { what: 'queueClosed', queue };
      }
      case records.settled: {
        const open = this.#openQueue(number);
        if (open.drains-- === 0) throw new Damage(`queue ${number} has no drain that could have ended`);
        return { what: 'settled', queue: open.queue, time: this.#time(reader) };
      }
      case records.loaded:
        return { what: 'loaded', ...this.#loaded(number, reader, place) };
      default:
        throw new Damage(`no record begins with ${first}`);
    }
  }

  /** What loads of a batch gave that has ended. */
  #loaded(batch: number, reader: ByteReader, place: Place): Answer {
    if (this.#loading === null) throw new Damage('what was loaded, in a recording without that');
    const unknown = reader.varint('the loaded bytes that nobody knows');
    const length = reader.varint('the bytes that were loaded', pieceBytes);
    const at = place.payload;
    takePayload(place, length);
    return this.#loading.answer(batch, unknown, place.bytes.subarray(at, at + length));
  }

  /** What of a batch did not go through: the end lists the same, where there is one. */
  #failedBatch(batch: number, reader: ByteReader): Entry {
    if (batch >= this.batches) throw new Damage(`batch ${batch} fails, which was not handed over`);
    const count = reader.varint('the outcomes of a batch', limits.block);
    const outcomes: Outcome[] = [];
    for (let index = 0; index < count; index++) {
      const [first, many, state, bytesDone] = [0, 0, 0, 0].map(() => reader.varint('a number of an outcome'));
      outcomes.push([first, many, state, bytesDone] as Outcome);
    }
    checkOutcomes(outcomes);
    if (this.#failures?.has(batch) === false) throw new Damage(`batch ${batch} fails, of which the end says nothing`);
    return { what: 'failed', batch, outcomes };
  }

  /** The batch that a record hands over: it has the operations directly before it. */
  #handOver(number: number, reader: ByteReader, drain: boolean): { queue: RecordedQueue; time: number } {
    const queue = this.#queue(number);
    this.#checkHandedOver(queue);
    const [first, count] = this.#failures?.get(this.batches)?.at(-1) ?? [0, 0];
    if (first + count > this.#waitingOperations) throw new Damage(`a batch without the operation ${first} that failed`);
    this.#waiting = null;
    this.#waitingOperations = 0;
    this.#loading?.handedOver(this.batches, queue);
    this.batches++;
    if (drain) this.#openQueue(number).drains++;
    return { queue, time: this.#time(reader) };
  }

  /** Operations that were queued are followed by others of the same queue, or handed over. */
  #checkHandedOver(queue: RecordedQueue | null): void {
    const waiting = this.#waiting;
    if (waiting !== null && waiting !== queue)
      throw new Damage(`operations of queue ${waiting.number} are in no batch`);
  }

  #defineRegion(number: number, reader: ByteReader): RecordedRegion {
    const size = reader.varint('the size of a region', largestSize);
    const traits = reader.varint('the traits of a region', 31);
    const maxStoreBlock = reader.varint('maxStoreBlock', pieceBytes);
    const boundary = reader.varint('boundary', pieceBytes);
    const name = reader.text('the name of a region', limits.name);
    if (size < 1) throw new Damage('a region of no size');
    if (maxStoreBlock < 8) throw new Damage(`maxStoreBlock cannot be ${maxStoreBlock}`);
    if (boundary < 8 || (boundary & (boundary - 1)) !== 0) throw new Damage(`boundary cannot be ${boundary}`);
    if (this.#regions.has(number)) throw new Damage(`region ${number} is there twice`);
    if (this.#regions.size === limits.regions) throw new Damage(`more than ${limits.regions} regions at once`);
    const region: RecordedRegion = {
      number,
      name: name.replaceAll('\0', ''),
      size,
      kind: (traits & 1) !== 0 ? 'memory' : 'device',
      writable: (traits & 2) !== 0,
      rules: {
        maxStoreBlock,
        boundary,
        alignment: (traits & 4) !== 0 ? 'strict' : 'relaxed',
        merge: (traits & 8) !== 0 ? 'registers' : 'window',
        singleStores: (traits & 16) === 0,
      },
    };
    this.#regions.set(number, region);
    return region;
  }

  #defineQueue(number: number, reader: ByteReader): RecordedQueue {
    const region = this.#region(reader.varint('the region of a queue', largestNumber));
    const depth = reader.varint('the depth of a queue', 1 << 20);
    const merge = mergeWords[reader.varint('merge', mergeWords.length - 1)] as RecordedQueue['merge'];
    const order = orderWords[reader.varint('order', orderWords.length - 1)] as RecordedQueue['order'];
    if (depth < 1) throw new Damage('a queue of no depth');
    if (this.#queues.has(number)) throw new Damage(`queue ${number} is there twice`);
    if (this.#queues.size === limits.queues) throw new Damage(`more than ${limits.queues} queues at once`);
    const queue = { number, region, depth, merge, order };
    this.#queues.set(number, { queue, drains: 0 });
    return queue;
  }

  #run(first: number, block: Block, reader: ByteReader, place: Place): Entry & { what: 'run' } {
    const origin: Origin = first >= records.pooled ? 'pooled' : first >= records.queued ? 'queued' : 'direct';
    const kind = operationKinds[first - records[origin]];
    if (kind === undefined || !allowed[origin].includes(kind)) throw new Damage(`no record begins with ${first}`);
    const flags = checkFlags(reader.varint('the flags of a run', 255), origin);
    const number = reader.varint('a number', largestNumber);
    const queue = origin === 'queued' ? this.#queue(number) : null;
    const region = queue?.region ?? this.#region(number);
    this.#checkHandedOver(queue);
    const count = reader.varint('the count of a run', limits.run);
    if (count < 1) throw new Damage('a run of no operations');
    const run = new Run(block, origin, kind, region, queue, count);
    run.time = origin === 'queued' ? this.#clock : this.#time(reader);
    readPlaces(run, flags, reader, place);
    if ((flags & runFlags.failed) !== 0) run.bytesDone = reader.varint('the bytes that were done');
    if ((flags & runFlags.continued) !== 0) run.continued = true;
    if (kind === 'copy') run.source = this.#source(reader);
    if ((flags & runFlags.times) !== 0) run.timesAt = gaps(place, count);
    const single = run.bytesDone !== null || run.continued || kind === 'copy';
    if (single && count !== 1) throw new Damage('a run of several operations where there can be one only');
    if (stores(kind)) this.#take(run, place);
    else if (loads(kind) && this.#loading !== null) this.#takeLoaded(run, place, this.#loading);
    if (run.timesAt !== 0) this.#clock = run.times()[count - 1] as number;
    return this.#checked(run, place);
  }

  #checked(run: Run, place: Place): Entry & { what: 'run' } {
    const { kind, origin, block, region, count, source } = run;
    const lengths = run.lengths();
    const { longest, sum } = measure(lengths, count);
    run.sum = sum;
    if (longest > pieceBytes) throw new Damage(`an operation of ${longest} bytes is longer than a piece can be`);
    const extent = run.regular ? run.extent() : run.offsets(this.#offsets, lengths);
    const { lowest, end, bits } = extent;
    if (!(lowest >= 0 && end <= region.size)) {
      throw new Damage(`an operation outside of region ${region.number}, which has ${region.size} bytes`);
    }
    checkWidth(run, lengths, bits);
    checkBytesDone(run);
    checkWritable(run);
    if (source !== null) checkCopy(run, lowest, source);
    if (kind === 'storeBlock') checkStoreBlocks(run, this.#offsets, lengths);
    if (run.carries && origin === 'queued' && kind === 'load' && this.#loading !== null) this.#loading.waiting += sum;
    else if (run.carries && run.bytes === block.bytes) takePayload(place, count === 1 ? run.carried(sum) : sum);
    this.#goOn(run, lengths);
    this.#operations += count;
    return { what: 'run', run, offsets: this.#offsets, lengths, extent };
  }

  /** Holds a further piece against the operation before it, and counts what waits to be handed over. */
  #goOn(run: Run, lengths: Lengths): void {
    const { origin, kind, region, queue, count, continued, regular, firstOffset, stride } = run;
    if (continued) {
      const begins = regular ? firstOffset : (this.#offsets[0] as number);
      const { run: before, end } = this.#last ?? { run: null, end: 0 };
      const same =
        before?.origin === origin && before.kind === kind && before.region === region && before.queue === queue;
      if (!same || begins !== end || end % pieceBytes !== 0)
        throw new Damage('a piece of an operation that did not begin');
    }
    const last = count - 1;
    const offset = regular ? firstOffset + last * stride : (this.#offsets[last] as number);
    this.#last = { run: { origin, kind, region, queue }, end: offset + lengthAt(lengths, last) };
    this.#waiting = queue;
    if (queue !== null && !continued) this.#waitingOperations += count;
  }

  /** Finds the bytes that a run has loaded, or where they will be in those of its batch. */
  #takeLoaded(run: Run, place: Place, { waiting }: Loading): void {
    const queued = run.origin === 'queued';
    run.carries = true;
    run.bytesAt = queued ? waiting : place.payload;
    run.bytesEnd = queued ? Number.MAX_SAFE_INTEGER : place.payloadEnd;
  }

  /** Finds the bytes that a run stores. */
  #take(run: Run, place: Place): void {
    run.carries = true;
    if (this.#made === null) {
      run.bytesAt = place.payload;
      run.bytesEnd = place.payloadEnd;
      return;
    }
    run.bytes = this.#made;
    run.bytesAt = ((this.#operations * 0x9e38) % pieceBytes) & ~7;
    run.bytesEnd = this.#made.length;
  }

  #source(reader: ByteReader): CopySource {
    const region = this.#region(reader.varint('the source of a copy', largestNumber));
    return { region, offset: reader.varint('where a copy begins') };
  }

  #time(reader: ByteReader): number {
    this.#clock += reader.varint('a time');
    if (this.#clock > Number.MAX_SAFE_INTEGER) throw new Damage('a time that is too late');
    return this.#clock;
  }

  #region(number: number): RecordedRegion {
    const region = this.#regions.get(number);
    if (region === undefined) throw new Damage(`there is no region ${number}`);
    return region;
  }

  /** A queue that can be used. */
  #queue(number: number): RecordedQueue {
    const { queue } = this.#openQueue(number);
    const { region } = queue;
    if (this.#regions.get(region.number) === region) return queue;
    throw new Damage(`the region of queue ${number} is closed`);
  }

  /** A queue that has not ended: when its region is closed it still does what was in flight. */
  #openQueue(number: number): OpenQueue {
    const open = this.#queues.get(number);
    if (open === undefined) throw new Damage(`there is no queue ${number}`);
    return open;
  }
}

/** The three parts of a block's content. */
function open(block: Block): { reader: ByteReader; place: Place } {
  const { bytes, length } = block;
  if (length < contentHeaderBytes) throw new Damage('it has no room for the lengths of its parts');
  const header = new DataView(bytes.buffer, bytes.byteOffset + blockHeaderBytes, contentHeaderBytes);
  const [control, columns, payload] = [0, 4, 8].map((at) => header.getUint32(at, true)) as [number, number, number];
  const whole = contentHeaderBytes + control + columns + payload;
  if (whole !== length) throw new Damage(`its parts have ${whole} bytes in all, the block ${length}`);
  if ((control | columns | payload) % 8 !== 0) throw new Damage('the length of a part is not a multiple of 8');
  if (header.getUint32(12, true) !== 0) throw new Damage('a reserved field is not zero');
  const from = blockHeaderBytes + contentHeaderBytes;
  const columnsAt = from + control;
  const payloadAt = columnsAt + columns;
  return {
    reader: new ByteReader(bytes, from, columnsAt),
    place: { bytes, column: columnsAt, columnsEnd: payloadAt, payload: payloadAt, payloadEnd: payloadAt + payload },
  };
}

function readPlaces(run: Run, flags: number, reader: ByteReader, place: Place): void {
  const { kind, count } = run;
  run.offsetMode = flags & runFlags.offsets;
  const lengths = (flags & runFlags.lengths) >> runFlags.lengthShift;
  if (run.offsetMode > offsetModes.absolute) throw new Damage(`no offsets have the mode ${run.offsetMode}`);
  if (kind === 'fence') {
    const purpose = fences[lengths];
    if (!run.regular) throw new Damage('a fence with a place');
    if (purpose === undefined) throw new Damage(`no fence has the purpose ${lengths}`);
    run.purpose = purpose;
    return;
  }
  if (lengths > lengthModes.u32) throw new Damage(`no lengths have the mode ${lengths}`);
  run.lengthMode = lengths;
  if (run.offsetMode !== offsetModes.absolute) run.firstOffset = reader.varint('an offset');
  if (run.offsetMode === offsetModes.stride && count > 1) {
    const stride = reader.varint('a stride');
    run.stride = (flags & runFlags.backwards) !== 0 ? -stride : stride;
  }
  if (run.offsetMode === offsetModes.absolute) run.offsetsAt = column(place, count, 8);
  if (run.offsetMode === offsetModes.deltas) run.offsetsAt = gaps(place, count);
  if (run.lengthMode === lengthModes.same) run.sameLength = reader.varint('a length', pieceBytes);
  else run.lengthsAt = column(place, count, run.lengthMode === lengthModes.u16 ? 2 : 4);
}

/** Where the next column is, of `count` elements of `width` bytes. */
function column(place: Place, count: number, width: number): number {
  const at = place.column;
  place.column += Math.ceil((count * width) / 8) * 8;
  if (place.column > place.columnsEnd) throw new Damage('a column is longer than what there is of columns');
  checkZeros(place.bytes, at + count * width, place.column, 'a column');
  return at;
}

/** The same of what 4 bytes each count from the one before: the first is 0. */
function gaps(place: Place, count: number): number {
  const at = column(place, count, 4);
  checkZeros(place.bytes, at, at + 4, 'nothing, where a column begins');
  return at;
}

/** Goes on behind the payload of a run. */
function takePayload(place: Place, bytes: number): void {
  const end = place.payload + bytes;
  place.payload += Math.ceil(bytes / 8) * 8;
  if (place.payload > place.payloadEnd) throw new Damage('a run has more payload than there is');
  checkZeros(place.bytes, end, place.payload, 'the payload of a run');
}

function checkZeros(bytes: Uint8Array, from: number, to: number, what: string): void {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) throw new Damage(`something other than zeros behind ${what}`);
}

/** What of the flags is for operations of one origin alone. */
function checkFlags(flags: number, origin: Origin): number {
  if ((flags & runFlags.times) !== 0 && origin === 'queued')
    throw new Damage('queued operations with times of their own');
  if ((flags & runFlags.failed) !== 0 && origin !== 'direct')
    throw new Damage(`a ${origin} operation that failed by itself`);
  return flags;
}
