// What a recording says, in the words of those who listen: regions, queues, operations of any length, batches and their ends.
import type { Fence } from '../addon/wire.js';
import type { Queue } from '../queue/queue.js';
import type { SourceBytes } from '../queue/sources.js';
import type { Region } from '../region/region.js';
import { IsmioError } from '../support/errors.js';
import { Encoder, type Special } from './encoder.js';
import type { RecordingFile } from './file.js';
import {
  type End,
  formatVersions,
  limits,
  loads,
  type Metadata,
  mergeWords,
  type OperationKind,
  type Origin,
  type Outcome,
  orderWords,
  pieceBytes,
  records,
  stores,
} from './format.js';
import type { Payload } from './payload.js';

/** What there may be so many of at once, and what to do about more. */
const counted = {
  regions: 'regions are open at once; close some of them',
  queues: 'queues are open at once; close some of them',
  loading: 'batches with loads are in flight at once; await some of them',
} as const;
type Counted = keyof typeof counted;

/** Times are nanoseconds since the recording began. */
export class EntryWriter {
  readonly #payload: boolean;
  readonly #loads: boolean;
  readonly #path: string;
  readonly #need: (version: number) => void;
  readonly #encoder: Encoder;
  #open: Record<Counted, number> = { regions: 0, queues: 0, loading: 0 };
  #queues = 0;
  #batches = 0;
  #operations = 0;
  #bytes = 0;
  readonly #failures: [batch: number, outcomes: Outcome[]][] = [];

  constructor(file: RecordingFile, metadata: Metadata) {
    this.#payload = metadata.payload;
    this.#loads = metadata.loads;
    this.#path = file.path;
    this.#need = (version) => file.need(version);
    this.#encoder = new Encoder((block) => file.add(block));
    if (metadata.loads) file.need(formatVersions.loads);
  }

  /** Whether there is something that the file has not been given. */
  get holds(): boolean {
    return this.#encoder.holds;
  }

  /** What the end of the recording says, if it ends at this time. */
  endAt(nanoseconds: number): End {
    const [operations, bytes, batches, failures] = [this.#operations, this.#bytes, this.#batches, this.#failures];
    return { operations, bytes, batches, nanoseconds, failures };
  }

  /** Gives the file what it does not have yet. */
  flush(): void {
    this.#encoder.flush();
  }

  /** Reads what was to be read later, now. */
  readAll(): void {
    this.#encoder.payload.readAll();
  }

  /** A region with this number. */
  region(number: number, { size, rules, kind, writable, name }: Region): void {
    this.#count('regions');
    const traits =
      (kind === 'memory' ? 1 : 0) |
      (writable ? 2 : 0) |
      (rules.alignment === 'strict' ? 4 : 0) |
      (rules.merge === 'registers' ? 8 : 0) |
      (rules.singleStores ? 0 : 16);
    this.#encoder.record(records.region, number, (control) => {
      for (const field of [size, traits, rules.maxStoreBlock, rules.boundary]) control.varint(field);
      control.text(name);
    });
  }

  /** A queue of the region with this number. Its own. */
  queue({ depth, merge, order }: Queue, region: number): number {
    this.#count('queues');
    this.#encoder.record(records.queue, this.#queues, (control) => {
      for (const field of [region, depth, mergeWords.indexOf(merge), orderWords.indexOf(order)]) control.varint(field);
    });
    return this.#queues++;
  }

  /**
   * An operation of any length.
   * @param bytes what it stored, or loaded, from the byte `from` on; null where it did neither, or its bytes come later. Of a
   * source they are read later, and stay as they are until `reading` says that they were
   */
  operation(
    origin: Origin,
    kind: OperationKind,
    number: number,
    offset: number,
    length: number,
    time: number,
    bytes: Uint8Array | SourceBytes | null,
    special?: Special,
    from = 0,
  ): void {
    this.#operations++;
    this.#bytes += special?.bytesDone ?? length;
    const carried = bytes !== null && this.#carries(kind);
    for (let done = 0; ; ) {
      const at = offset + done;
      const piece = Math.min(length - done, pieceBytes - (at % pieceBytes));
      const more = pieceOf(special, done, piece, length);
      this.#encoder.operation(origin, kind, number, at, piece, time, more);
      if (carried) this.#append(bytes, from + done, loads(kind) ? (more?.bytesDone ?? piece) : piece);
      done += piece;
      if (done >= length) return;
    }
  }

  /** A store of the value, or a load that gave it. */
  access(
    kind: 'load' | 'store',
    origin: Origin,
    number: number,
    offset: number,
    width: number,
    time: number,
    value: number | bigint,
    bigEndian: boolean,
  ): void {
    this.#operations++;
    this.#bytes += width;
    this.#encoder.operation(origin, kind, number, offset, width, time);
    if (this.#carries(kind)) this.#encoder.payload.value(value, width, bigEndian);
  }

  /** An 8-byte store of two words. */
  storeWords(origin: Origin, number: number, offset: number, time: number, low: number, high: number): void {
    this.#operations++;
    this.#bytes += 8;
    this.#encoder.operation(origin, 'store', number, offset, 8, time);
    if (!this.#payload) return;
    this.#encoder.payload.value(low, 4, false);
    this.#encoder.payload.value(high, 4, false);
  }

  fence(origin: Origin, number: number, time: number, purpose: Fence): void {
    this.#operations++;
    if (purpose !== 'full') this.#need(formatVersions.loads);
    this.#encoder.operation(origin, 'fence', number, 0, 0, time, purpose === 'full' ? undefined : { purpose });
  }

  /**
   * Some of what the loads of a batch gave, in their order.
   * @param unknown bytes before them that nobody knows
   * @param length at most `pieceBytes`, that `append` appends in one piece or several
   */
  loaded(batch: number, unknown: number, length: number, append: (payload: Payload) => void): void {
    this.#encoder.loaded(batch, unknown, length);
    append(this.#encoder.payload);
  }

  /** The batch whose operations have just been told. Its number. @param loads whether it is to end with `answered` */
  handedOver(how: 'submit' | 'drain', queue: number, time: number, loads: boolean): number {
    if (loads) this.#count('loading');
    this.#encoder.timed(records[how], queue, time);
    return this.#batches++;
  }

  /** All that the loads of a batch gave has been told. */
  answered(): void {
    this.#open.loading--;
  }

  /** The oldest drain of the queue that had not ended has. */
  settled(queue: number, time: number): void {
    this.#encoder.timed(records.settled, queue, time);
  }

  /** What of the batch did not go through. */
  failed(batch: number, outcomes: Outcome[]): void {
    if (outcomes.length === 0) return;
    this.#failures.push([batch, outcomes]);
    this.#encoder.record(records.failed, batch, (control) => {
      control.varint(outcomes.length);
      for (const outcome of outcomes) for (const number of outcome) control.varint(number);
    });
  }

  /** A region or a queue has come to its end. */
  ended(what: 'region' | 'queue', number: number): void {
    this.#open[what === 'region' ? 'regions' : 'queues']--;
    this.#encoder.record(what === 'region' ? records.regionClosed : records.queueClosed, number);
  }

  /** Whether the bytes of such operations are recorded. */
  #carries(kind: OperationKind): boolean {
    return stores(kind) ? this.#payload : this.#loads && loads(kind);
  }

  #append(bytes: Uint8Array | SourceBytes, from: number, length: number): void {
    const { payload } = this.#encoder;
    if (bytes instanceof Uint8Array) payload.append(bytes.subarray(from, from + length));
    else payload.refer(bytes, from, length);
  }

  #count(what: Counted): void {
    const most = limits[what];
    if (++this.#open[what] <= most) return;
    const path = this.#path;
    const text = `cannot write the recording ${path}: more than ${most} ${counted[what]}, or record fewer`;
    throw new IsmioError('ERR_ISMIO_WRITE_FILE', text, { path, [what]: most });
  }
}

/** What is special about a piece of an operation. */
function pieceOf(special: Special | undefined, done: number, piece: number, length: number): Special | undefined {
  if (special === undefined && done === 0) return undefined;
  const { bytesDone, source } = special ?? {};
  return {
    ...(bytesDone !== undefined && { bytesDone: Math.min(Math.max(bytesDone - done, 0), piece) }),
    ...(done > 0 && length > 0 && { continued: true }),
    ...(source !== undefined && { source: { region: source.region, offset: source.offset + done } }),
  };
}
