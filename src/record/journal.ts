// The journal of a recording: what listeners hear is stored in its file, with the time that it took left out. What goes wrong
// ends it, and is kept for whoever closes it.
import type { IsmioError } from '../support/errors.js';
import { atExit } from '../support/exit.js';
import { harmless } from '../support/text.js';
import { EntryWriter } from './entry-writer.js';
import { RecordingFile } from './file.js';
import type { Metadata } from './format.js';
import { Keeper } from './keeper.js';
import { type BatchLoads, Targets } from './targets.js';

/** Who has a journal made. */
export interface JournalOwner {
  /** The journal has come to its end: nobody is to listen any more. */
  letGo(): void;
  /** It has come to its end too early, because of this error; null where `close` is the one to throw it. */
  readonly failed: ((error: unknown) => void) | null;
}

export class Journal {
  /** Whether the bytes that loads give are recorded. */
  readonly loads: boolean;
  readonly #owner: JournalOwner;
  readonly #targets = new Targets();
  readonly #file: RecordingFile;
  readonly #entries: EntryWriter;
  readonly #keeper: Keeper;
  readonly #began = performance.now();
  /** Milliseconds that recording itself took: they are left out of the times. */
  #own = 0;
  #error: unknown = null;
  #closed = false;
  #finished = false;
  /** The process exits: whatever comes now may be the last, and is stored at once. */
  #exiting = false;
  /** What came after the file was finished for good. */
  #missed = 0;
  readonly #notAtExit: () => void;

  constructor(path: string, metadata: Metadata, compress: boolean, owner: JournalOwner) {
    this.#owner = owner;
    this.loads = metadata.loads;
    this.#file = new RecordingFile(path, metadata, compress, (error) => this.#fail(error));
    this.#entries = new EntryWriter(this.#file, metadata);
    this.#keeper = new Keeper(() => this.write((entries) => entries.flush()));
    this.#notAtExit = atExit(() => this.#finishAtExit());
  }

  get path(): string {
    return this.#file.path;
  }

  /** What ended it too early; null where nothing did. */
  get error(): unknown {
    return this.#error;
  }

  /** Whether nobody listens for it any more: it was closed, or could not go on. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether its file is as it will be. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Writes what is not in the file yet, and its end. What it has in it. @throws what ended it too early */
  close(): { operations: number; bytes: number } {
    if (!this.#finished) {
      this.#notAtExit();
      this.#end();
      this.#exiting = false;
      this.write(() => this.#file.open && this.#finish());
      this.#finished = true;
      if (this.#error === null) this.#file.close();
    }
    if (this.#error !== null) throw this.#error;
    const { operations, bytes } = this.#entries.endAt(0);
    return { operations, bytes };
  }

  /** Ends it without a file. */
  discard(): void {
    this.#notAtExit();
    this.#end();
    this.#file.discard();
    this.#finished = true;
  }

  /** Has entries written, of this time; what that throws ends the recording and is kept for `close`. */
  write(act: (entries: EntryWriter, time: number) => void): void {
    if (this.#error !== null || this.#finished) return;
    const began = performance.now();
    try {
      act(this.#entries, this.#since(began));
      if (this.#exiting) this.#storeAtExit();
      else if (!this.#closed && this.#entries.holds && this.#keeper.noted(began)) this.#storeNow();
    } catch (error) {
      this.#fail(error);
    }
    this.#own += performance.now() - began;
  }

  /** Resolves when the bytes of all drains so far have been read from where they are; null where they have been. */
  reading(): Promise<void> | null {
    this.write(() => this.#entries.readAll());
    return this.#file.reading();
  }

  /** Whether a batch that is handed over overwrites what was loaded before, which then has to be read first. */
  enter(loads: BatchLoads): boolean {
    return this.#targets.enter(loads);
  }

  /** What the loads of a batch gave has been read. */
  leave(loads: BatchLoads): void {
    this.#targets.leave(loads);
  }

  /** Reads and writes all of it now: memory of the program goes with the batch that has just ended. */
  readNow(): void {
    this.write(() => this.#storeNow());
  }

  /** Writes what there is, and the end behind it. */
  #finish(): void {
    const nanoseconds = this.#since(performance.now());
    this.#entries.flush();
    this.#file.finish(this.#entries.endAt(nanoseconds));
  }

  /** Nanoseconds from the beginning to this moment, without what the recorder itself took. */
  #since(moment: number): number {
    return Math.round((moment - this.#began - this.#own) * 1e6);
  }

  #storeNow(): void {
    this.#entries.flush();
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
    this.#owner.failed?.(error);
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keeper.stop();
    this.#owner.letGo();
  }

  /** Finishes the file, and goes on listening: the program may have handlers that come later. */
  #finishAtExit(): void {
    this.#exiting = true;
    this.#keeper.stop();
    this.write(() => undefined);
    if (this.#error === null || this.#owner.failed !== null) return; // it was told when it happened
    const { code, message } = this.#error as IsmioError;
    process.stderr.write(`ismio: ${code}: ${harmless(message)}\n`);
  }
}
