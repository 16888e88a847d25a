// The recorder: listens to regions and their queues, and writes down what they are asked for.
import { checkFlag, checkOptions, checkText } from '../check.js';
import { IsmioError, rangeError, shown } from '../errors.js';
import { atExit } from '../exit.js';
import { packageVersion } from '../package.js';
import type { Queue } from '../queue/queue.js';
import { checkRegion, idOf, type Region, tapOf, tapRegion } from '../region/region.js';
import type { SourceBytes } from '../region/tap.js';
import { harmless } from '../text.js';
import { ofThisThread } from '../thread.js';
import type { Fence } from '../wire.js';
import { Encoder, type Special } from './encoder.js';
import { RecordingFile } from './file.js';
import {
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
import { Keeper } from './keeper.js';
import { QueueListener, RegionListener } from './listeners.js';
import type { Payload } from './payload.js';
import { type BatchLoads, Targets } from './targets.js';

/** How `record` writes a recording. */
export interface RecordOptions {
  /** Also the bytes that are stored and written. Default true. */
  payload?: boolean;
  /** Also the bytes that are loaded and read. Default false. */
  loads?: boolean;
  /** Deflates what becomes shorter by it. A recording that is not deflated is replayed faster. Default true. */
  compress?: boolean;
}

/** What a recording has in it, once it is closed. */
export interface Recorded {
  /** The file that the recording was written to. */
  readonly path: string;
  /** How many regions were recorded. */
  readonly regions: number;
  /** How many operations of them were recorded. */
  readonly operations: number;
  /** Moved by them, in either direction. */
  readonly bytes: number;
}

/**
 * Writes down every operation on a region, or on several, from now on. Where it throws, nothing is recorded or left.
 * @throws IsmioError ERR_ISMIO_WRITE_FILE when the file cannot be made
 */
export function record(regions: Region | readonly Region[], path: string, options: RecordOptions = {}): Recorder {
  const recorder = new Recorder(path, options);
  try {
    for (const region of [regions].flat()) recorder.add(region);
  } catch (error) {
    recorder.discard();
    throw error;
  }
  return recorder;
}

/** What there may be so many of at once, and what to do about more. */
const counted = {
  regions: 'regions are open at once; close some of them',
  queues: 'queues are open at once; close some of them',
  loading: 'batches with loads are in flight at once; await some of them',
} as const;
type Counted = keyof typeof counted;

/** A recording that is being written, made by `record`. */
export class Recorder {
  /** A symbol: with it, posting a recorder to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** Whether the bytes that loads give are recorded, as the option of the same name asks for. */
  readonly loads: boolean;
  readonly #targets = new Targets();
  readonly #payload: boolean;
  readonly #file: RecordingFile;
  readonly #encoder: Encoder;
  readonly #keeper: Keeper;
  readonly #began = performance.now();
  /** Milliseconds that recording itself took: they are left out of the times. */
  #own = 0;
  #error: unknown = null;
  #closed = false;
  #finished = false;
  /** The process exits: whatever comes now may be the last, and is stored at once. */
  #exiting = false;
  readonly #regions: WeakRef<Region>[] = [];
  readonly #numbers = new Map<number, number>();
  #open: Record<Counted, number> = { regions: 0, queues: 0, loading: 0 };
  #queues = 0;
  #batches = 0;
  #operations = 0;
  #bytes = 0;
  /** What came after the file was finished for good. */
  #missed = 0;
  readonly #failures: [batch: number, outcomes: Outcome[]][] = [];
  readonly #failed: ((error: unknown) => void) | null;
  readonly #notAtExit: () => void;

  /** @internal @param failed is told at once what ended the recording too early; `close` throws it all the same */
  constructor(path: string, options: RecordOptions = {}, failed: ((error: unknown) => void) | null = null) {
    if (checkText(path, 'path') === '') throw rangeError('ERR_ISMIO_OPTION', 'path must not be empty', { path });
    checkOptions(options, ['payload', 'loads', 'compress'], 'record');
    this.#failed = failed;
    this.#payload = checkFlag(options.payload ?? true, 'payload');
    this.loads = checkFlag(options.loads ?? false, 'loads');
    if (this.loads && !this.#payload) {
      const text = 'what is loaded is recorded with what is stored: leave out { payload: false }, or { loads: true }';
      throw rangeError('ERR_ISMIO_OPTION', text, { payload: false, loads: true });
    }
    const compress = checkFlag(options.compress ?? true, 'compress');
    const metadata: Metadata = {
      version: packageVersion(),
      started: new Date().toISOString(),
      payload: this.#payload,
      loads: this.loads,
    };
    this.#file = new RecordingFile(path, metadata, compress, (error) => this.#fail(error));
    if (this.loads) this.#file.need(formatVersions.loads);
    this.#encoder = new Encoder((block) => this.#file.add(block));
    this.#keeper = new Keeper(() => this.write(() => this.#encoder.flush()));
    this.#notAtExit = atExit(() => this.#finishAtExit());
  }

  /**
   * Listens to one more region.
   * @throws what ended the recording, if something has
   */
  add(region: Region): void {
    const id = idOf(checkRegion(region, 'region'));
    this.#checkUsable();
    if (tapOf(region) !== null) {
      throw rangeError(
        'ERR_ISMIO_OPTION',
        `${region.name} is being recorded already, by another recorder or by ismio record; a region has one at a time`,
        { region: region.name },
      );
    }
    checkName(region);
    const number = this.#regions.length;
    this.#regions.push(new WeakRef(region));
    this.#numbers.set(id, number);
    this.write(() => {
      this.#count('regions');
      this.#defineRegion(number, region);
    });
    tapRegion(region, new RegionListener(this, number), (queue) => this.addQueue(queue, number));
    if (this.#error === null) return;
    tapRegion(region, null, () => null); // it was tapped after the others had been let go
    throw this.#error;
  }

  /**
   * Stops listening and finishes the file: what is not in it yet is written now. A drain in flight is in it as though all of
   * it goes through.
   * @throws IsmioError ERR_ISMIO_WRITE_FILE when something of it could not be written; there is no file at its path then
   */
  close(): Recorded {
    if (!this.#finished) {
      this.#notAtExit();
      this.#end();
      this.#exiting = false;
      this.write(() => this.#file.open && this.#finish());
      this.#finished = true;
      if (this.#error === null) this.#file.close();
    }
    if (this.#error !== null) throw this.#error;
    return { path: this.#file.path, regions: this.#regions.length, operations: this.#operations, bytes: this.#bytes };
  }

  /** Whether it has stopped listening: it was closed, or could not go on. */
  get closed(): boolean {
    return this.#closed;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Ends it without a file. */
  discard(): void {
    this.#notAtExit();
    this.#end();
    this.#file.discard();
    this.#finished = true;
  }

  /** @internal Nanoseconds since the recording began, without what the recorder itself took. */
  now(): number {
    return Math.round((performance.now() - this.#began - this.#own) * 1e6);
  }

  /** @internal Does a piece of recording; what it throws ends the recording and is kept for `close`. */
  write(act: () => void): void {
    if (this.#error !== null || this.#finished) return;
    const began = performance.now();
    try {
      act();
      if (this.#exiting) this.#storeAtExit();
      else if (!this.#closed && this.#encoder.holds && this.#keeper.noted(began)) this.#storeNow();
    } catch (error) {
      this.#fail(error);
    }
    this.#own += performance.now() - began;
  }

  /** @internal Resolves when the bytes of all drains so far have been read from where they are; null where they have been. */
  reading(): Promise<void> | null {
    this.write(() => this.#encoder.payload.readAll());
    return this.#file.reading();
  }

  /** @internal Reads and writes all of it now: memory of the program goes with the batch that has just ended. */
  readNow(): void {
    this.write(() => this.#storeNow());
  }

  /** @internal Who listens to the queue: nobody, when the recording has ended. */
  addQueue(queue: Queue, region: number): QueueListener | null {
    const number = this.#queues++;
    this.write(() => {
      this.#count('queues');
      this.#encoder.record(records.queue, (control) => {
        control.varint(number);
        control.varint(region);
        control.varint(queue.depth);
        control.varint(mergeWords.indexOf(queue.merge));
        control.varint(orderWords.indexOf(queue.order));
      });
    });
    return this.#error === null ? new QueueListener(this, number) : null;
  }

  /**
   * @internal An operation of any length.
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

  /** @internal A store of the value, or a load that gave it. */
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

  /** @internal An 8-byte store of two words. */
  storeWords(origin: Origin, number: number, offset: number, time: number, low: number, high: number): void {
    this.#operations++;
    this.#bytes += 8;
    this.#encoder.operation(origin, 'store', number, offset, 8, time);
    if (!this.#payload) return;
    this.#encoder.payload.value(low, 4, false);
    this.#encoder.payload.value(high, 4, false);
  }

  /** @internal */
  fence(origin: Origin, number: number, time: number, purpose: Fence): void {
    this.#operations++;
    if (purpose !== 'full') this.#file.need(formatVersions.loads);
    this.#encoder.operation(origin, 'fence', number, 0, 0, time, purpose === 'full' ? undefined : { purpose });
  }

  /**
   * @internal Some of what the loads of a batch gave, in their order.
   * @param unknown bytes before them that nobody knows
   * @param length at most `pieceBytes`, that `append` appends in one piece or several
   */
  loaded(batch: number, unknown: number, length: number, append: (payload: Payload) => void): void {
    this.#encoder.loaded(batch, unknown, length);
    append(this.#encoder.payload);
  }

  /** @internal The batch whose operations have just been told. Its number. @param loads whether it is to end with `answered` */
  handedOver(how: 'submit' | 'drain', queue: number, time: number, loads: boolean): number {
    if (loads) this.#count('loading');
    this.#encoder.timed(records[how], queue, time);
    return this.#batches++;
  }

  /** @internal Whether a batch that is handed over overwrites what was loaded before, which then has to be read first. */
  enter(loads: BatchLoads): boolean {
    return this.#targets.enter(loads);
  }

  /** @internal What the loads of a batch gave has been read. */
  leave(loads: BatchLoads): void {
    this.#targets.leave(loads);
  }

  /** @internal All that the loads of a batch gave has been told. */
  answered(): void {
    this.#open.loading--;
  }

  /** @internal */
  settled(queue: number, time: number): void {
    this.#encoder.timed(records.settled, queue, time);
  }

  /** @internal */
  failed(batch: number, outcomes: Outcome[]): void {
    if (outcomes.length === 0) return;
    this.#failures.push([batch, outcomes]);
    this.#encoder.record(records.failed, (control) => {
      control.varint(batch);
      control.varint(outcomes.length);
      for (const outcome of outcomes) for (const number of outcome) control.varint(number);
    });
  }

  /** @internal A region or a queue has come to its end. */
  ended(what: 'region' | 'queue', number: number): void {
    this.#open[what === 'region' ? 'regions' : 'queues']--;
    const kind = what === 'region' ? records.regionClosed : records.queueClosed;
    this.#encoder.record(kind, (control) => control.varint(number));
  }

  /** @internal The number of a region in this recording; undefined for one that is not in it. */
  numberOf(id: number): number | undefined {
    return this.#numbers.get(id);
  }

  /** Whether the bytes of such operations are recorded. */
  #carries(kind: OperationKind): boolean {
    return stores(kind) ? this.#payload : this.loads && loads(kind);
  }

  #append(bytes: Uint8Array | SourceBytes, from: number, length: number): void {
    const { payload } = this.#encoder;
    if (bytes instanceof Uint8Array) payload.append(bytes.subarray(from, from + length));
    else payload.refer(bytes, from, length);
  }

  #defineRegion(number: number, region: Region): void {
    const { size, rules, kind, writable, name } = region;
    this.#encoder.record(records.region, (control) => {
      control.varint(number);
      control.varint(size);
      control.varint(
        (kind === 'memory' ? 1 : 0) |
          (writable ? 2 : 0) |
          (rules.alignment === 'strict' ? 4 : 0) |
          (rules.merge === 'registers' ? 8 : 0) |
          (rules.singleStores ? 0 : 16),
      );
      control.varint(rules.maxStoreBlock);
      control.varint(rules.boundary);
      control.text(name);
    });
  }

  #count(what: Counted): void {
    const most = limits[what];
    if (++this.#open[what] <= most) return;
    const { path } = this.#file;
    throw new IsmioError(
      'ERR_ISMIO_WRITE_FILE',
      `cannot write the recording ${path}: more than ${most} ${counted[what]}, or record fewer`,
      { path, [what]: most },
    );
  }

  /** Writes what there is, and the end behind it. */
  #finish(): void {
    const nanoseconds = this.now();
    this.#encoder.flush();
    this.#file.finish({
      operations: this.#operations,
      bytes: this.#bytes,
      batches: this.#batches,
      nanoseconds,
      failures: this.#failures,
    });
  }

  #storeNow(): void {
    this.#encoder.flush();
    this.#file.flush();
  }

  /** What the program does in its own handlers of 'exit', which may come after this package's. */
  #storeAtExit(): void {
    if (this.#file.open) {
      this.#finish();
      return;
    }
    if (this.#missed++ > 0) return;
    const { path } = this.#file;
    process.stderr.write(
      `ismio: not recorded in ${path}, which was finished before: what was done while the process exited\n`,
    );
  }

  #fail(error: unknown): void {
    if (this.#error !== null || this.#finished) return;
    this.#error = error;
    this.#end();
    this.#file.discard();
    this.#failed?.(error);
  }

  /** Lets go of the regions and queues. */
  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keeper.stop();
    for (const reference of this.#regions) {
      const region = reference.deref();
      if (region !== undefined) tapRegion(region, null, () => null);
    }
  }

  #checkUsable(): void {
    if (this.#error !== null) throw this.#error;
    if (!this.#finished) return;
    const { path } = this.#file;
    throw new IsmioError('ERR_ISMIO_CLOSED', `the recorder of ${path} is closed; make another`, { path });
  }

  /** Finishes the file, and goes on listening: the program may have handlers that come later. */
  #finishAtExit(): void {
    this.#exiting = true;
    this.#keeper.stop();
    this.write(() => undefined);
    if (this.#error === null || this.#failed !== null) return; // it was told when it happened
    const { code, message } = this.#error as IsmioError;
    process.stderr.write(`ismio: ${code}: ${harmless(message)}\n`);
  }
}

/** A name is recorded as it is. */
function checkName({ name }: Region): void {
  const length = Buffer.byteLength(name);
  if (length <= limits.name) return;
  throw rangeError(
    'ERR_ISMIO_TOO_LONG',
    `a name of ${length} bytes cannot be recorded, ${limits.name} at most can; give the region that begins with ${shown(name.slice(0, 32))} a shorter one`,
    { region: name, length, longest: limits.name },
  );
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
