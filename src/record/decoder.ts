// Blocks into records. Everything is held against what the recording itself said before: no region, queue, offset or
// length is passed on that could not have been.

import type { Block } from './buffers.js';
import { ByteReader, Damage } from './bytes.js';
import {
  blockHeaderBytes,
  carriesPayload,
  contentHeaderBytes,
  lengthModes,
  limits,
  mergeWords,
  type OperationKind,
  type Origin,
  offsetModes,
  operationKinds,
  orderWords,
  pieceBytes,
  records,
  runFlags,
} from './format.js';
import { type CopySource, type Lengths, measure, type RecordedQueue, type RecordedRegion, Run } from './run.js';

export type Entry =
  | { readonly what: 'region' | 'regionClosed'; readonly region: RecordedRegion }
  | { readonly what: 'queue' | 'queueClosed'; readonly queue: RecordedQueue }
  | { readonly what: 'submit' | 'drain' | 'settled'; readonly queue: RecordedQueue; readonly time: number }
  | { readonly what: 'run'; readonly run: Run; readonly offsets: Float64Array; readonly lengths: Lengths };

const allowed: Readonly<Record<Origin, readonly OperationKind[]>> = {
  direct: ['load', 'store', 'storeBlock', 'read', 'write', 'fence'],
  queued: ['load', 'store', 'write', 'fence'],
  pooled: ['read', 'write', 'copy'],
};

const largestSize = 2 ** 48;
const largestNumber = 2 ** 32;

/** Where the next column and the next payload of a block are. */
interface Place {
  column: number;
  readonly columnsEnd: number;
  payload: number;
  readonly payloadEnd: number;
}

export class Decoder {
  readonly #made: Uint8Array | null;
  readonly #regions = new Map<number, RecordedRegion>();
  readonly #queues = new Map<number, RecordedQueue>();
  readonly #offsets = new Float64Array(limits.run);
  #clock = 0;
  #operations = 0;

  /** @param made the bytes to store where the recording has none; null for a recording that has them */
  constructor(made: Uint8Array | null) {
    this.#made = made;
  }

  /** The records of a block, in order. The offsets of a run are good until the next one is asked for. */
  *entries(block: Block): Generator<Entry> {
    const { reader, place } = open(block);
    let operations = 0;
    while (!reader.ended && reader.peek !== 0) {
      const first = reader.byte();
      const entry = first >= records.direct ? this.#run(first, block, reader, place) : this.#record(first, reader);
      if (entry.what === 'run' && !entry.run.continued) operations += entry.run.count;
      if (operations > block.operations) throw new Damage(`more than the ${block.operations} operations it speaks of`);
      yield entry;
    }
    if (!reader.onlyPadding) throw new Damage('something other than zeros behind the last record');
    if (operations !== block.operations) throw new Damage(`${operations} operations instead of ${block.operations}`);
    if (place.column !== place.columnsEnd) throw new Damage('columns that no run has');
    if (this.#made === null && place.payload !== place.payloadEnd) throw new Damage('payload that no run has');
  }

  #record(first: number, reader: ByteReader): Entry {
    const number = reader.varint('a number', largestNumber);
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
        const queue = this.#queue(number);
        this.#queues.delete(number);
        return { what: 'queueClosed', queue };
      }
      case records.submit:
        return { what: 'submit', queue: this.#queue(number), time: this.#time(reader) };
      case records.drain:
        return { what: 'drain', queue: this.#queue(number), time: this.#time(reader) };
      case records.settled:
        return { what: 'settled', queue: this.#queue(number), time: this.#time(reader) };
      default:
        throw new Damage(`no record begins with ${first}`);
    }
  }

  #defineRegion(number: number, reader: ByteReader): RecordedRegion {
    const size = reader.varint('the size of a region', largestSize);
    const traits = reader.varint('the traits of a region', 15);
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
    this.#queues.set(number, queue);
    return queue;
  }

  #run(first: number, block: Block, reader: ByteReader, place: Place): Entry & { what: 'run' } {
    const origin: Origin = first >= records.pooled ? 'pooled' : first >= records.queued ? 'queued' : 'direct';
    const kind = operationKinds[first - records[origin]];
    if (kind === undefined || !allowed[origin].includes(kind)) throw new Damage(`no record begins with ${first}`);
    const flags = reader.varint('the flags of a run', 255);
    const number = reader.varint('a number', largestNumber);
    const queue = origin === 'queued' ? this.#queue(number) : null;
    const region = queue?.region ?? this.#region(number);
    const count = reader.varint('the count of a run', limits.run);
    if (count < 1) throw new Damage('a run of no operations');
    const run = new Run(block, origin, kind, region, queue, count);
    run.time = origin === 'queued' ? this.#clock : this.#time(reader);
    readPlaces(run, flags, reader, place);
    if ((flags & runFlags.failed) !== 0) run.bytesDone = reader.varint('the bytes that were done');
    if ((flags & runFlags.continued) !== 0) run.continued = true;
    if (kind === 'copy') run.source = this.#source(reader);
    if ((flags & runFlags.times) !== 0) run.timesAt = column(place, count, 4);
    const single = run.bytesDone !== null || run.continued || kind === 'copy';
    if (single && count !== 1) throw new Damage('a run of several operations where there can be one only');
    if (carriesPayload(kind)) this.#take(run, place);
    if (run.timesAt !== 0) this.#clock = run.times()[count - 1] as number;
    return this.#checked(run, place);
  }

  #checked(run: Run, place: Place): Entry & { what: 'run' } {
    const { kind, region, count, source } = run;
    const lengths = run.lengths();
    const { longest, sum } = measure(lengths, count);
    run.sum = sum;
    if (longest > pieceBytes) throw new Damage(`an operation of ${longest} bytes is longer than a piece can be`);
    if ((kind === 'store' || kind === 'load') && run.origin === 'direct' && !isWidth(lengths)) {
      throw new Damage(`no ${kind} has ${longest} bytes`);
    }
    if (kind === 'store' && !isWidth(lengths)) throw new Damage(`no store has ${longest} bytes`);
    const { lowest, end } = run.regular ? run.extent() : run.offsets(this.#offsets, lengths);
    if (!(lowest >= 0 && end <= region.size)) {
      throw new Damage(`an operation outside of region ${region.number}, which has ${region.size} bytes`);
    }
    if (source !== null && source.offset + longest > source.region.size) {
      throw new Damage(`a copy from outside of region ${source.region.number}`);
    }
    if (carriesPayload(kind) && this.#made === null) {
      place.payload += Math.ceil(sum / 8) * 8;
      if (place.payload > place.payloadEnd) throw new Damage('a run has more payload than there is');
    }
    this.#operations += count;
    return { what: 'run', run, offsets: this.#offsets, lengths };
  }

  /** Finds the bytes that a run stores. */
  #take(run: Run, place: Place): void {
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

  #queue(number: number): RecordedQueue {
    const queue = this.#queues.get(number);
    if (queue === undefined) throw new Damage(`there is no queue ${number}`);
    return queue;
  }
}

/** The three parts of a block's content. */
function open(block: Block): { reader: ByteReader; place: Place } {
  const { bytes, length } = block;
  if (length < contentHeaderBytes) throw new Damage('it has no room for the lengths of its parts');
  const header = new DataView(bytes.buffer, bytes.byteOffset + blockHeaderBytes, contentHeaderBytes);
  const [control, columns, payload] = [0, 4, 8].map((at) => header.getUint32(at, true)) as [number, number, number];
  const whole = contentHeaderBytes + control + columns + payload;
  if (whole !== length || control % 8 !== 0 || columns % 8 !== 0 || header.getUint32(12, true) !== 0) {
    throw new Damage(`its parts have ${whole} bytes in all, the block ${length}`);
  }
  const from = blockHeaderBytes + contentHeaderBytes;
  const columnsAt = from + control;
  const payloadAt = columnsAt + columns;
  return {
    reader: new ByteReader(bytes, from, columnsAt),
    place: { column: columnsAt, columnsEnd: payloadAt, payload: payloadAt, payloadEnd: payloadAt + payload },
  };
}

function readPlaces(run: Run, flags: number, reader: ByteReader, place: Place): void {
  const { kind, count } = run;
  run.offsetMode = flags & runFlags.offsets;
  run.lengthMode = (flags & runFlags.lengths) >> runFlags.lengthShift;
  if (run.offsetMode > offsetModes.absolute) throw new Damage(`no offsets have the mode ${run.offsetMode}`);
  if (run.lengthMode > lengthModes.u32) throw new Damage(`no lengths have the mode ${run.lengthMode}`);
  if (kind === 'fence') {
    if (!run.regular) throw new Damage('a fence with a place');
    return;
  }
  if (run.offsetMode !== offsetModes.absolute) run.firstOffset = reader.varint('an offset');
  if (run.offsetMode === offsetModes.stride && count > 1) {
    const stride = reader.varint('a stride');
    run.stride = (flags & runFlags.backwards) !== 0 ? -stride : stride;
  }
  if (run.offsetMode === offsetModes.absolute) run.offsetsAt = column(place, count, 8);
  if (run.offsetMode === offsetModes.deltas) run.offsetsAt = column(place, count, 4);
  if (run.lengthMode === lengthModes.same) run.sameLength = reader.varint('a length', pieceBytes);
  else run.lengthsAt = column(place, count, run.lengthMode === lengthModes.u16 ? 2 : 4);
}

/** Where the next column is, of `count` elements of `width` bytes. */
function column(place: Place, count: number, width: number): number {
  const at = place.column;
  place.column += Math.ceil((count * width) / 8) * 8;
  if (place.column > place.columnsEnd) throw new Damage('a column is longer than what there is of columns');
  return at;
}

function isWidth(lengths: Lengths): boolean {
  return lengths === 1 || lengths === 2 || lengths === 4 || lengths === 8;
}
