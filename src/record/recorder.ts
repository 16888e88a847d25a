// The recorder: listens to regions and their queues, and writes down what they are asked for.
import { checkFlag, checkOptions, checkText } from '../check.js';
import { IsmioError, rangeError } from '../errors.js';
import { atExit } from '../exit.js';
import { packageVersion } from '../package.js';
import type { Queue } from '../queue/queue.js';
import { checkRegion, idOf, type Region, tapOf, tapRegion } from '../region/region.js';
import { Encoder, type Special } from './encoder.js';
import { RecordingFile } from './file.js';
import {
  limits,
  type Metadata,
  mergeWords,
  type OperationKind,
  type Origin,
  type Outcome,
  orderWords,
  pieceBytes,
  records,
} from './format.js';
import { QueueListener, RegionListener } from './listeners.js';

export interface RecordOptions {
  /** Also the bytes that are stored and written. Default true. */
  payload?: boolean;
  /** Deflates what becomes shorter by it. A recording that is not deflated is replayed faster. Default true. */
  compress?: boolean;
}

/** What was recorded. */
export interface Recorded {
  readonly path: string;
  readonly regions: number;
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

export class Recorder {
  readonly #payload: boolean;
  readonly #file: RecordingFile;
  readonly #encoder: Encoder;
  readonly #began = performance.now();
  /** Milliseconds that recording itself took: they are left out of the times. */
  #own = 0;
  #error: unknown = null;
  #closed = false;
  #finished = false;
  readonly #regions: WeakRef<Region>[] = [];
  readonly #numbers = new Map<number, number>();
  #open = { regions: 0, queues: 0 };
  #queues = 0;
  #batches = 0;
  #operations = 0;
  #bytes = 0;
  readonly #failures: [batch: number, outcomes: Outcome[]][] = [];
  readonly #failed: ((error: unknown) => void) | null;
  readonly #notAtExit: () => void;

  /** @internal @param failed is told at once what ended the recording too early; `close` throws it all the same */
  constructor(path: string, options: RecordOptions = {}, failed: ((error: unknown) => void) | null = null) {
    if (checkText(path, 'path') === '') throw rangeError('ERR_ISMIO_OPTION', 'path must not be empty', { path });
    checkOptions(options, ['payload', 'compress'], 'record');
    this.#failed = failed;
    this.#payload = checkFlag(options.payload ?? true, 'payload');
    const compress = checkFlag(options.compress ?? true, 'compress');
    const metadata: Metadata = {
      version: packageVersion(),
      started: new Date().toISOString(),
      payload: this.#payload,
    };
    this.#file = new RecordingFile(path, metadata, compress);
    this.#encoder = new Encoder((parts, operations) => this.#file.operations(parts, operations));
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
    const number = this.#regions.length;
    this.#regions.push(new WeakRef(region));
    this.#numbers.set(id, number);
    this.write(() => {
      this.#count('regions', limits.regions);
      this.#defineRegion(number, region);
    });
    tapRegion(region, new RegionListener(this, number), (queue) => this.addQueue(queue, number));
    if (this.#error === null) return;
    tapRegion(region, null, () => null); // it was tapped after the others had been let go
    throw this.#error;
  }

  /**
   * Stops listening and finishes the file. A drain in flight is in it as though all of it goes through.
   * @throws IsmioError ERR_ISMIO_WRITE_FILE when something of it could not be written; there is no file at its path then
   */
  close(): Recorded {
    if (!this.#finished) {
      this.#notAtExit();
      const nanoseconds = this.now();
      this.#end();
      this.write(() => {
        this.#encoder.flush();
        const { operations, bytes, batches } = {
          operations: this.#operations,
          bytes: this.#bytes,
          batches: this.#batches,
        };
        this.#file.finish({ operations, bytes, batches, nanoseconds, failures: this.#failures });
      });
      this.#finished = true;
    }
    if (this.#error !== null) throw this.#error;
    return { path: this.#file.path, regions: this.#regions.length, operations: this.#operations, bytes: this.#bytes };
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
    } catch (error) {
      this.#error = error;
      this.#end();
      this.#file.discard();
      this.#failed?.(error);
    }
    this.#own += performance.now() - began;
  }

  /** @internal Who listens to the queue: nobody, when the recording has ended. */
  addQueue(queue: Queue, region: number): QueueListener | null {
    const number = this.#queues++;
    this.write(() => {
      this.#count('queues', limits.queues);
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

  /** @internal An operation of any length; `bytes` has what it stored, if it did. */
  operation(
    origin: Origin,
    kind: OperationKind,
    number: number,
    offset: number,
    length: number,
    time: number,
    bytes: Uint8Array | null,
    special?: Special,
  ): void {
    this.#operations++;
    this.#bytes += special?.bytesDone ?? length;
    for (let done = 0; ; ) {
      const at = offset + done;
      const piece = Math.min(length - done, pieceBytes - (at % pieceBytes));
      this.#encoder.operation(origin, kind, number, at, piece, time, pieceOf(special, done, piece, length));
      if (this.#payload && bytes !== null) this.#encoder.payload.append(bytes.subarray(done, done + piece));
      done += piece;
      if (done >= length) return;
    }
  }

  /** @internal A store of the value. */
  store(
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
    this.#encoder.operation(origin, 'store', number, offset, width, time);
    if (this.#payload) this.#encoder.payload.value(value, width, bigEndian);
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

  /** @internal The batch whose operations have just been told. Its number. */
  handedOver(how: 'submit' | 'drain', queue: number, time: number): number {
    this.#encoder.timed(records[how], queue, time);
    return this.#batches++;
  }

  /** @internal */
  settled(queue: number, time: number): void {
    this.#encoder.timed(records.settled, queue, time);
  }

  /** @internal */
  failed(batch: number, outcomes: Outcome[]): void {
    if (outcomes.length > 0) this.#failures.push([batch, outcomes]);
  }

  /** @internal */
  closed(what: 'region' | 'queue', number: number): void {
    this.#open[what === 'region' ? 'regions' : 'queues']--;
    const kind = what === 'region' ? records.regionClosed : records.queueClosed;
    this.#encoder.record(kind, (control) => control.varint(number));
  }

  /** @internal The number of a region in this recording; undefined for one that is not in it. */
  numberOf(id: number): number | undefined {
    return this.#numbers.get(id);
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
          (rules.merge === 'registers' ? 8 : 0),
      );
      control.varint(rules.maxStoreBlock);
      control.varint(rules.boundary);
      control.text([...name].slice(0, limits.name / 4).join(''));
    });
  }

  #count(what: 'regions' | 'queues', most: number): void {
    if (++this.#open[what] <= most) return;
    throw new IsmioError(
      'ERR_ISMIO_WRITE_FILE',
      `cannot write the recording ${this.#file.path}: more than ${most} ${what} are open at once; close some of them, or record fewer`,
      { path: this.#file.path, [what]: most },
    );
  }

  /** Lets go of the regions and queues. */
  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
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

  #finishAtExit(): void {
    try {
      this.close();
    } catch (error) {
      if (this.#failed !== null) return; // it was told when it happened
      process.stderr.write(`ismio: ${(error as IsmioError).code}: ${(error as Error).message}\n`);
    }
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
