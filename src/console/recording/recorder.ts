// A console that is recorded. The console waits for no recording: where a sink is slow, no more than `limit` bytes and one piece
// wait in it; what comes then is left out until it has drained, and a mark says how much that was. A size or an exit that
// came meanwhile is kept, of each the last one.
import { finished, type Writable } from 'node:stream';
import { checkBetween, checkCallback, checkFlag, checkOptions, checkText, withDefaults } from '../../support/check.js';
import { IsmioError, shown, typeError } from '../../support/errors.js';
import type { ConsoleView, ConsoleViewEvents, TerminalSize } from '../view.js';
import { Asciicast } from './asciicast.js';
import { exitWords } from './exit.js';
import type { ConsoleExit, RecordingFormat } from './format.js';
import { Script, type ScriptSinks } from './script.js';

/** What every recording takes. */
export interface RecordOptions {
  /** The kind of terminal that players are told. Default 'xterm-256color'. */
  term?: string;
  /** Bytes that wait in a sink at most, besides one piece of 16 KiB (as JSON, up to six times that). Default 4 MiB. */
  limit?: number;
  /** Is told at once that a sink failed. The recording has ended then; the console goes on. */
  failed?: (error: Error) => void;
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  clock?: () => number;
}

/** What `recordAsciicast` takes. */
export interface AsciicastOptions extends RecordOptions {
  /** 2, which every player knows, or 3, which has the exit status. Default 2. */
  version?: 2 | 3;
  /** Whether what is typed is recorded, passwords too. Default false. */
  input?: boolean;
  /** Default: the name of the console. */
  title?: string;
}

/** What became of a recording. */
export interface RecordingSummary {
  /** Bytes of output and of input that are in it. */
  readonly bytes: number;
  /** Bytes that were left out because a sink was slow. Marks in the recording say where. */
  readonly leftOut: number;
}

/** The longest piece of output in one event. */
const piece = 16 * 1024;
const defaults = { term: 'xterm-256color', limit: 4 * 2 ** 20, clock: () => performance.now() };
type RecordSettings = typeof defaults & Pick<RecordOptions, 'failed'>;

interface LeftOut {
  bytes: number;
  marks: number;
}

type Listeners = { [Event in keyof ConsoleViewEvents]?: (...values: ConsoleViewEvents[Event]) => void };

/** A recording that goes on until it is closed, or its console is. Made by `recordAsciicast` and `recordScript`. */
export class ConsoleRecorder {
  readonly #view: ConsoleView;
  readonly #format: RecordingFormat;
  readonly #limit: number;
  readonly #now: () => number;
  readonly #began: number;
  readonly #listeners: Listeners;
  readonly #whole: Promise<void>;
  #state: 'recording' | 'ended' | 'failed' = 'recording';
  #error: Error | null = null;
  #size: TerminalSize;
  #exit: ConsoleExit | null = null;
  /** What is left out right now; null while there is room. */
  #leftOut: LeftOut | null = null;
  #bytes = 0;
  #allLeftOut = 0;

  /** @internal */
  constructor(view: ConsoleView, format: RecordingFormat, settings: RecordSettings) {
    this.#view = view;
    this.#format = format;
    this.#limit = settings.limit;
    this.#now = settings.clock;
    this.#began = this.#now();
    this.#size = view.size;
    this.#whole = this.#follow(settings.failed);
    format.begin({ name: view.name, size: view.size, date: new Date() });
    format.mark(0, `attached to ${view.name}`);
    this.#listeners = this.#listen();
    for (const [event, told] of Object.entries(this.#listeners)) view.on(event as 'close', told as () => void);
  }

  /** Records what was typed, where the recording has input: a console does not tell what is written to it. */
  input(bytes: Uint8Array | string): void {
    if (!this.#format.takesInput) return;
    this.#pieces(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, (at, part) => this.#format.input(at, part));
  }

  /** Puts a line for people at this place. */
  mark(label: string): void {
    checkText(label, 'label');
    this.#mark(label);
  }

  /**
   * Ends the recording and its sinks; the console stays. Resolves when all of it was written, however slow the sinks are;
   * whoever cannot wait destroys them. Again: the same.
   * @throws IsmioError ERR_ISMIO_WRITE_FILE where a sink failed at any time
   */
  async close(): Promise<RecordingSummary> {
    this.#end();
    await this.#whole;
    if (this.#error !== null) throw this.#error;
    return { bytes: this.#bytes, leftOut: this.#allLeftOut };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Resolves when every sink is done with, well or not. */
  #follow(failed: RecordOptions['failed']): Promise<void> {
    const { sinks } = this.#format;
    const each = sinks.map(
      (sink) =>
        new Promise<void>((resolve) => {
          sink.on('drain', () => this.#drained());
          finished(sink, { readable: false }, (cause) => {
            if (cause) this.#fail(cause, failed);
            resolve();
          });
        }),
    );
    return Promise.all(each).then(() => undefined);
  }

  #listen(): Listeners {
    let wasLost = false;
    return {
      data: (bytes) => this.#output(bytes),
      screen: (bytes) => {
        this.#take(() => this.#format.cut(this.#at()));
        this.#output(bytes);
      },
      gap: (from, bytes) => {
        this.#take(() => this.#format.cut(this.#at()));
        this.#mark(`gap: ${bytes} bytes from position ${from} are not kept any more`);
      },
      size: (size) => this.#resize(size),
      exit: (exit) => {
        this.#exit = exit;
        this.#mark(exitWords(exit));
      },
      state: (state) => {
        if (state === 'lost') this.#mark('the connection is lost');
        else if (state === 'open' && wasLost) this.#mark(`attached to ${this.#view.name} again`);
        wasLost = state === 'lost' || (wasLost && state === 'connecting');
      },
      close: () => this.#end(),
    };
  }

  #output(bytes: Uint8Array): void {
    this.#pieces(bytes, (at, part) => this.#format.output(at, part));
  }

  #pieces(bytes: Uint8Array, write: (at: number, part: Uint8Array) => void): void {
    for (let from = 0; from < bytes.length; from += piece) {
      const part = bytes.subarray(from, from + piece);
      const isIn = this.#take(() => write(this.#at(), part));
      if (isIn) this.#bytes += part.length;
      else if (this.#leftOut !== null) this.#leftOut.bytes += part.length;
    }
  }

  #resize(size: TerminalSize): void {
    if (!this.#take(() => this.#format.resize(this.#at(), size))) return;
    this.#size = size;
  }

  #mark(label: string): void {
    const isIn = this.#take(() => this.#format.mark(this.#at(), label));
    if (!isIn && this.#leftOut !== null) this.#leftOut.marks++;
  }

  /** @returns whether it was taken: not where there is no room, and not after the end */
  #take(write: () => void): boolean {
    if (this.#state !== 'recording') return false;
    if (this.#leftOut === null && this.#isFull()) this.#leftOut = { bytes: 0, marks: 0 };
    if (this.#leftOut !== null) return false;
    write();
    return true;
  }

  #isFull(): boolean {
    return this.#format.sinks.some((sink) => sink.writableNeedDrain && sink.writableLength >= this.#limit);
  }

  #drained(): void {
    if (this.#state === 'recording' && !this.#format.sinks.some((sink) => sink.writableNeedDrain)) this.#catchUp();
  }

  #catchUp(): void {
    if (this.#leftOut === null) return;
    const { bytes, marks } = this.#leftOut;
    this.#leftOut = null;
    this.#allLeftOut += bytes;
    const at = this.#at();
    this.#format.cut(at);
    const more = marks === 0 ? '' : ` and ${marks} marks`;
    this.#format.mark(at, `gap: ${bytes} bytes${more} were not recorded, whoever writes the recording was too slow`);
    const { size } = this.#view;
    if (size.columns !== this.#size.columns || size.rows !== this.#size.rows) this.#resize(size);
  }

  #end(): void {
    if (this.#state !== 'recording') return;
    this.#catchUp();
    this.#format.end(this.#at(), this.#exit);
    this.#stop('ended');
    for (const sink of this.#format.sinks) sink.end();
  }

  #fail(cause: Error, failed: RecordOptions['failed']): void {
    if (this.#error !== null) return;
    this.#error = new IsmioError(
      'ERR_ISMIO_WRITE_FILE',
      `the recording cannot be written: ${cause.message}`,
      {},
      cause,
    );
    this.#stop('failed');
    for (const sink of this.#format.sinks) sink.destroy();
    failed?.(this.#error);
  }

  #stop(state: 'ended' | 'failed'): void {
    this.#state = state;
    for (const [event, told] of Object.entries(this.#listeners)) this.#view.off(event as 'close', told as () => void);
  }

  #at(): number {
    return Math.max(0, Math.round((this.#now() - this.#began) * 1000));
  }
}

function checkCommon(options: RecordOptions): RecordSettings {
  const { failed } = options;
  const { term, limit, clock } = withDefaults(defaults, {
    term: options.term,
    limit: options.limit,
    clock: options.clock,
  });
  checkText(term, 'term');
  checkBetween(limit, 'limit', piece, 2 ** 30);
  checkCallback(clock, 'clock');
  checkCallback(failed, 'failed');
  return { term, limit, clock, ...(failed === undefined ? {} : { failed }) };
}

/** A stream that takes bytes. */
function checkSink(sink: Writable, what: string): Writable {
  const { write, end, writableObjectMode } = (sink ?? {}) as Partial<Writable>;
  if (typeof write === 'function' && typeof end === 'function' && writableObjectMode === false) return sink;
  throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a Writable of bytes, not ${shown(sink)}`, {
    [what]: sink,
  });
}

const names = ['term', 'limit', 'failed', 'clock'];

/**
 * Records a console as an asciicast: asciinema and its player in the browser play it. Bytes that are no UTF-8 become U+FFFD;
 * `recordScript` keeps them.
 */
export function recordAsciicast(view: ConsoleView, sink: Writable, options: AsciicastOptions = {}): ConsoleRecorder {
  checkOptions(options, ['version', 'input', 'title', ...names], 'recordAsciicast');
  const { version = 2, input = false, title } = options;
  checkBetween(version, 'version', 2, 3);
  if (title !== undefined) checkText(title, 'title');
  const settings = checkCommon(options);
  const isTyped = checkFlag(input, 'input');
  const format = new Asciicast(checkSink(sink, 'sink'), { version, title, term: settings.term, input: isTyped });
  return new ConsoleRecorder(view, format, settings);
}

/** Records a console as `script --log-timing --log-out --log-in` does: `scriptreplay` of util-linux plays it, every byte. */
export function recordScript(view: ConsoleView, sinks: ScriptSinks, options: RecordOptions = {}): ConsoleRecorder {
  checkOptions(sinks, ['timing', 'output', 'input'], 'recordScript');
  checkOptions(options, names, 'recordScript');
  const { timing, output, input } = sinks;
  checkSink(timing, 'timing');
  checkSink(output, 'output');
  if (input !== undefined) checkSink(input, 'input');
  const settings = checkCommon(options);
  return new ConsoleRecorder(view, new Script(sinks, settings.term), settings);
}
