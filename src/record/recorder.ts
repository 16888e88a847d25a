// The recorder: which regions and queues are listened to, and how long.
import { checkRegion, idOf, type Region, tapOf, tapRegion } from '../region/region.js';
import { checkFlag, checkOptions, checkText } from '../support/check.js';
import { IsmioError, rangeError, shown } from '../support/errors.js';
import { packageVersion } from '../support/package.js';
import { ofThisThread } from '../support/thread.js';
import { limits } from './format.js';
import { Journal } from './journal.js';
import { listenTo, RegionListener } from './listeners.js';

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

/** A recording that is being written, made by `record`. */
export class Recorder {
  /** A symbol: with it, posting a recorder to another thread is refused with a DataCloneError. */
  readonly thread: symbol = ofThisThread;
  /** Whether the bytes that loads give are recorded, as the option of the same name asks for. */
  readonly loads: boolean;
  readonly #journal: Journal;
  readonly #regions: WeakRef<Region>[] = [];
  /** By the ids of the regions, their numbers in the recording. */
  readonly #numbers = new Map<number, number>();

  /** @internal @param failed is told at once what ended the recording too early; `close` throws it all the same */
  constructor(path: string, options: RecordOptions = {}, failed: ((error: unknown) => void) | null = null) {
    if (checkText(path, 'path') === '') throw rangeError('ERR_ISMIO_OPTION', 'path must not be empty', { path });
    checkOptions(options, ['payload', 'loads', 'compress'], 'record');
    const payload = checkFlag(options.payload ?? true, 'payload');
    this.loads = checkFlag(options.loads ?? false, 'loads');
    if (this.loads && !payload) {
      const text = 'what is loaded is recorded with what is stored: leave out { payload: false }, or { loads: true }';
      throw rangeError('ERR_ISMIO_OPTION', text, { payload: false, loads: true });
    }
    const compress = checkFlag(options.compress ?? true, 'compress');
    const metadata = { version: packageVersion(), started: new Date().toISOString(), payload, loads: this.loads };
    this.#journal = new Journal(path, metadata, compress, { failed, letGo: () => this.#letGo() });
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
    const journal = this.#journal;
    const number = this.#regions.length;
    this.#regions.push(new WeakRef(region));
    this.#numbers.set(id, number);
    journal.write((to) => to.region(number, region));
    const numberOf = (other: number): number | undefined => this.#numbers.get(other);
    tapRegion(region, new RegionListener(journal, number, numberOf), (queue) => listenTo(journal, queue, number));
    if (journal.error === null) return;
    tapRegion(region, null, () => null); // it was tapped after the others had been let go
    throw journal.error;
  }

  /**
   * Stops listening and finishes the file: what is not in it yet is written now. A drain in flight is in it as though all of
   * it goes through.
   * @throws IsmioError ERR_ISMIO_WRITE_FILE when something of it could not be written; there is no file at its path then
   */
  close(): Recorded {
    return { path: this.#journal.path, regions: this.#regions.length, ...this.#journal.close() };
  }

  /** Whether it has stopped listening: it was closed, or could not go on. */
  get closed(): boolean {
    return this.#journal.closed;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Ends it without a file. */
  discard(): void {
    this.#journal.discard();
  }

  #letGo(): void {
    for (const reference of this.#regions) {
      const region = reference.deref();
      if (region !== undefined) tapRegion(region, null, () => null);
    }
  }

  #checkUsable(): void {
    const { error, finished, path } = this.#journal;
    if (error !== null) throw error;
    if (finished) throw new IsmioError('ERR_ISMIO_CLOSED', `the recorder of ${path} is closed; make another`, { path });
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
