// Blocks into records. Everything is held against what the recording itself said before: no region, queue, offset or
// length is passed on that could not have been.
import { fences } from '../addon/wire.js';
import type { Block } from './buffers.js';
import { type ByteReader, Damage } from './bytes.js';
import { Content } from './content.js';
import { Declared } from './declared.js';
import { checkOutcomes } from './documents.js';
import {
  type End,
  largestNumber,
  lengthModes,
  limits,
  loads,
  type OperationKind,
  type Origin,
  type Outcome,
  offsetModes,
  operationKinds,
  pieceBytes,
  records,
  runFlags,
  stores,
} from './format.js';
import { type Answer, Loading } from './loading.js';
import { checkPossible } from './possible.js';
import { columnAt, lengthAt, type RecordedQueue, type RecordedRegion, Run } from './run.js';

export type Entry =
  | { readonly what: 'region' | 'regionClosed'; readonly region: RecordedRegion }
  | { readonly what: 'queue' | 'queueClosed'; readonly queue: RecordedQueue }
  | { readonly what: 'failed'; readonly batch: number; readonly outcomes: readonly Outcome[] }
  | ({ readonly what: 'loaded' } & Answer)
  | { readonly what: 'submit' | 'drain' | 'settled'; readonly queue: RecordedQueue; readonly time: number }
  | { readonly what: 'run'; readonly run: Run; readonly offsets: Float64Array };

const allowed: Readonly<Record<Origin, readonly OperationKind[]>> = {
  direct: ['load', 'store', 'storeBlock', 'read', 'write', 'fence'],
  queued: ['load', 'store', 'write', 'fence'],
  pooled: ['read', 'write', 'copy'],
};

/** The operation that a further piece would go on with. */
interface Last {
  readonly run: Pick<Run, 'origin' | 'kind' | 'region' | 'queue'>;
  readonly end: number;
}

export class Decoder {
  readonly #made: Uint8Array | null;
  readonly #failures: ReadonlyMap<number, readonly Outcome[]> | null;
  readonly #declared = new Declared();
  /** The queue whose operations were the last ones and are to be handed over, and how many they are. */
  #waiting: RecordedQueue | null = null;
  #waitingOperations = 0;
  #last: Last | null = null;
  /** Null where the recording has nothing that was loaded. */
  readonly #loading: Loading | null;
  /** Batches, and operations of blocks that were read to their ends, so far. */
  batches = 0;
  operations = 0;
  readonly #offsets = new Float64Array(limits.run);
  #clock = 0;
  /** Operations and further pieces of them. */
  #pieces = 0;

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
    const content = new Content(block);
    const { control } = content;
    let operations = 0;
    while (!control.ended && control.peek !== 0) {
      const first = control.byte();
      const entry = first >= records.direct ? this.#run(first, block, content) : this.#record(first, content);
      if (entry.what === 'run' && !entry.run.continued) operations += entry.run.count;
      if (operations > block.operations) throw new Damage(`more than the ${block.operations} operations it speaks of`);
      yield entry;
    }
    content.checkEnded();
    if (operations !== block.operations) throw new Damage(`${operations} operations instead of ${block.operations}`);
    this.operations += operations;
  }

  #record(first: number, content: Content): Entry {
    const { control: reader } = content;
    const number = reader.varint('a number', largestNumber);
    if (first === records.failed) return this.#failedBatch(number, reader);
    this.#last = null;
    if (first === records.submit) return { what: 'submit', ...this.#handOver(number, reader, false) };
    if (first === records.drain) return { what: 'drain', ...this.#handOver(number, reader, true) };
    this.#checkHandedOver(null);
    const declared = this.#declared;
    switch (first) {
      case records.region:
        return { what: 'region', region: declared.defineRegion(number, reader) };
      case records.queue:
        return { what: 'queue', queue: declared.defineQueue(number, reader) };
      case records.regionClosed:
        return { what: 'regionClosed', region: declared.closeRegion(number) };
      case records.queueClosed:
        return { what: 'queueClosed', queue: declared.closeQueue(number) };
      case records.settled:
        return { what: 'settled', queue: declared.settled(number), time: this.#time(reader) };
      case records.loaded:
        return { what: 'loaded', ...this.#loaded(number, content) };
      default:
        throw new Damage(`no record begins with ${first}`);
    }
  }

  /** What loads of a batch gave that has ended. */
  #loaded(batch: number, content: Content): Answer {
    if (this.#loading === null) throw new Damage('what was loaded, in a recording without that');
    const unknown = content.control.varint('the loaded bytes that nobody knows');
    const length = content.control.varint('the bytes that were loaded', pieceBytes);
    return this.#loading.answer(batch, unknown, content.payloadBytes(length));
  }

  /** What of a batch did not go through: where there is an end, what that says counts. */
  #failedBatch(batch: number, reader: ByteReader): Entry {
    if (batch >= this.batches) throw new Damage(`batch ${batch} fails, which was not handed over`);
    const count = reader.varint('the outcomes of a batch', limits.block);
    const outcomes: Outcome[] = [];
    for (let index = 0; index < count; index++) {
      const [first, many, state, bytesDone] = [0, 0, 0, 0].map(() => reader.varint('a number of an outcome'));
      outcomes.push([first, many, state, bytesDone] as Outcome);
    }
    checkOutcomes(outcomes);
    return { what: 'failed', batch, outcomes };
  }

  /** The batch that a record hands over: it has the operations directly before it. */
  #handOver(number: number, reader: ByteReader, drain: boolean): { queue: RecordedQueue; time: number } {
    const queue = this.#declared.queue(number);
    this.#checkHandedOver(queue);
    const [first, count] = this.#failures?.get(this.batches)?.at(-1) ?? [0, 0];
    if (first + count > this.#waitingOperations) throw new Damage(`a batch without the operation ${first} that failed`);
    this.#waiting = null;
    this.#waitingOperations = 0;
    this.#loading?.handedOver(this.batches, queue);
    this.batches++;
    if (drain) this.#declared.drained(number);
    return { queue, time: this.#time(reader) };
  }

  /** Operations that were queued are followed by others of the same queue, or handed over. */
  #checkHandedOver(queue: RecordedQueue | null): void {
    const waiting = this.#waiting;
    if (waiting !== null && waiting !== queue)
      throw new Damage(`operations of queue ${waiting.number} are in no batch`);
  }

  #run(first: number, block: Block, content: Content): Entry {
    const { control: reader } = content;
    const origin: Origin = first >= records.pooled ? 'pooled' : first >= records.queued ? 'queued' : 'direct';
    const kind = operationKinds[first - records[origin]];
    if (kind === undefined || !allowed[origin].includes(kind)) throw new Damage(`no record begins with ${first}`);
    const flags = checkFlags(reader.varint('the flags of a run', 255), origin);
    const number = reader.varint('a number', largestNumber);
    const queue = origin === 'queued' ? this.#declared.queue(number) : null;
    const region = queue?.region ?? this.#declared.region(number);
    this.#checkHandedOver(queue);
    const count = reader.varint('the count of a run', limits.run);
    if (count < 1) throw new Damage('a run of no operations');
    const run = new Run(block, origin, kind, region, queue, count);
    run.time = origin === 'queued' ? this.#clock : this.#time(reader);
    readPlaces(run, flags, content);
    if ((flags & runFlags.failed) !== 0) run.bytesDone = reader.varint('the bytes that were done');
    run.continued = (flags & runFlags.continued) !== 0;
    if (kind === 'copy') {
      const source = this.#declared.region(reader.varint('the source of a copy', largestNumber));
      run.source = { region: source, offset: reader.varint('where a copy begins') };
    }
    const single = run.bytesDone !== null || run.continued || kind === 'copy';
    if (single && count !== 1) throw new Damage('a run of several operations where there can be one only');
    if ((flags & runFlags.times) !== 0) {
      run.timesAt = content.gaps(count);
      this.#clock = run.times()[count - 1] as number;
    }
    run.measure(this.#offsets);
    checkPossible(run, this.#offsets);
    this.#findBytes(run, content);
    this.#goOn(run);
    this.#pieces += count;
    return { what: 'run', run, offsets: this.#offsets };
  }

  /** Finds the bytes that a run stores or has loaded: in its block, among those that come when its batch has ended, or made up. */
  #findBytes(run: Run, content: Content): void {
    const { kind, origin, count, sum } = run;
    const loading = loads(kind) ? this.#loading : null;
    run.carries = stores(kind) || loading !== null;
    if (!run.carries) return;
    if (loading !== null && origin === 'queued') {
      run.bytesAt = loading.waiting;
      run.bytesEnd = Number.MAX_SAFE_INTEGER;
      loading.waiting += sum;
    } else if (loading === null && this.#made !== null) {
      run.bytes = this.#made;
      run.bytesAt = ((this.#pieces * 0x9e38) % pieceBytes) & ~7;
      run.bytesEnd = this.#made.length;
    } else {
      run.bytesAt = content.takePayload(count === 1 ? run.carried(sum) : sum);
      run.bytesEnd = content.payloadEnd;
    }
  }

  /** Holds a further piece against the operation before it, and counts what waits to be handed over. */
  #goOn(run: Run): void {
    const { origin, kind, region, queue, count, continued, regular, firstOffset, stride, lengths } = run;
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

  #time(reader: ByteReader): number {
    this.#clock += reader.varint('a time');
    if (this.#clock > Number.MAX_SAFE_INTEGER) throw new Damage('a time that is too late');
    return this.#clock;
  }
}

function readPlaces(run: Run, flags: number, content: Content): void {
  const { kind, count, block } = run;
  const { control: reader } = content;
  const offsets = flags & runFlags.offsets;
  const lengths = (flags & runFlags.lengths) >> runFlags.lengthShift;
  if (offsets > offsetModes.absolute) throw new Damage(`no offsets have the mode ${offsets}`);
  if (kind === 'fence') {
    const purpose = fences[lengths];
    if (offsets !== offsetModes.stride) throw new Damage('a fence with a place');
    if (purpose === undefined) throw new Damage(`no fence has the purpose ${lengths}`);
    run.purpose = purpose;
    return;
  }
  if (lengths > lengthModes.u32) throw new Damage(`no lengths have the mode ${lengths}`);
  run.offsetMode = offsets;
  if (offsets !== offsetModes.absolute) run.firstOffset = reader.varint('an offset');
  if (offsets === offsetModes.stride && count > 1) {
    const stride = reader.varint('a stride');
    run.stride = (flags & runFlags.backwards) !== 0 ? -stride : stride;
  }
  if (offsets === offsetModes.absolute) run.offsetsAt = content.column(count, 8);
  if (offsets === offsetModes.deltas) run.offsetsAt = content.gaps(count);
  if (lengths === lengthModes.same) run.lengths = reader.varint('a length', pieceBytes);
  else if (lengths === lengthModes.u16) run.lengths = columnAt(block, content.column(count, 2), count, Uint16Array);
  else run.lengths = columnAt(block, content.column(count, 4), count, Uint32Array);
}

/** What of the flags is for operations of one origin alone. */
function checkFlags(flags: number, origin: Origin): number {
  if ((flags & runFlags.times) !== 0 && origin === 'queued')
    throw new Damage('queued operations with times of their own');
  if ((flags & runFlags.failed) !== 0 && origin !== 'direct')
    throw new Damage(`a ${origin} operation that failed by itself`);
  return flags;
}
