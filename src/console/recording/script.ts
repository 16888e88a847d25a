// The multi-stream format of util-linux's script: a file with a line for each event - O and I with a number of bytes, S for a
// signal, H for what is known - and the bytes in files of their own, whose first line is not played.
import type { Writable } from 'node:stream';
import { harmless } from '../../support/text.js';
import type { TerminalSize } from '../view.js';
import { exitNumber } from './exit.js';
import { type Beginning, type ConsoleExit, gridOf, type RecordingFormat, seconds } from './format.js';

/** Where a recording in the format of `script` goes: the options of scriptreplay have the same names. */
export interface ScriptSinks {
  /** For `scriptreplay --log-timing`. */
  readonly timing: Writable;
  /** For `scriptreplay --log-out`. */
  readonly output: Writable;
  /** For `scriptreplay --log-in`. Without it, nothing that is typed is recorded. */
  readonly input?: Writable;
}

export class Script implements RecordingFormat {
  readonly sinks: readonly Writable[];
  readonly takesInput: boolean;
  readonly #files: ScriptSinks;
  readonly #term: string;
  /** The time of the last line. */
  #last = 0;

  constructor(files: ScriptSinks, term: string) {
    this.#files = files;
    this.takesInput = files.input !== undefined;
    this.#term = term;
    this.sinks = [files.timing, files.output, ...(files.input === undefined ? [] : [files.input])];
  }

  begin({ name, size, date }: Beginning): void {
    const { columns, rows } = gridOf(size);
    const started = dateAndTime(date);
    this.#known(0, 'START_TIME', started);
    this.#known(0, 'CONSOLE', name);
    this.#known(0, 'TERM', this.#term);
    this.#known(0, 'COLUMNS', String(columns));
    this.#known(0, 'LINES', String(rows));
    const line = Buffer.from(`Script started on ${started} [CONSOLE="${harmless(name)}"]\n`);
    this.#files.output.write(line);
    this.#files.input?.write(line);
  }

  output(at: number, bytes: Uint8Array): void {
    this.#line(at, 'O', String(bytes.length));
    this.#files.output.write(Buffer.from(bytes)); // a copy: it may wait after the console put other bytes there
  }

  input(at: number, bytes: Uint8Array): void {
    this.#line(at, 'I', String(bytes.length));
    this.#files.input?.write(Buffer.from(bytes));
  }

  resize(at: number, size: TerminalSize): void {
    const { columns, rows } = gridOf(size);
    this.#line(at, 'S', `SIGWINCH ROWS=${rows} COLS=${columns}`);
  }

  mark(at: number, label: string): void {
    this.#known(at, 'MARK', label);
  }

  cut(): void {
    // Bytes are kept as they are: nothing is held back that could be cut off.
  }

  end(at: number, exit: ConsoleExit | null): void {
    this.#known(at, 'DURATION', seconds(at));
    if (exit !== null) this.#known(at, 'EXIT_CODE', String(exitNumber(exit)));
  }

  #known(at: number, name: string, value: string): void {
    this.#line(at, 'H', `${name} ${harmless(value)}`);
  }

  #line(at: number, kind: 'H' | 'I' | 'O' | 'S', what: string): void {
    this.#files.timing.write(Buffer.from(`${kind} ${seconds(at - this.#last)} ${what}\n`));
    this.#last = at;
  }
}

/** As `script` writes it. */
function dateAndTime(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace('T', ' ')}+00:00`;
}
