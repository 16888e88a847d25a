// Asciicast, versions 2 and 3: a line of JSON for the header and one for each event. Times are since the beginning in
// version 2, and since the event before in version 3.
import type { Writable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { harmless } from '../../support/text.js';
import type { TerminalSize } from '../view.js';
import { exitNumber } from './exit.js';
import { type Beginning, type ConsoleExit, gridOf, type RecordingFormat, seconds } from './format.js';

/** What is told of an asciicast. */
export interface AsciicastSettings {
  readonly version: 2 | 3;
  /** The kind of terminal, as TERM has it. */
  readonly term: string;
  readonly title: string | undefined;
  /** Whether it has what is typed. */
  readonly input: boolean;
}

type Code = 'o' | 'i' | 'r' | 'm' | 'x';

export class Asciicast implements RecordingFormat {
  readonly sinks: readonly [Writable];
  readonly takesInput: boolean;
  readonly #settings: AsciicastSettings;
  /** The time of the last line. */
  #last = 0;
  readonly #output = new Characters();
  readonly #input = new Characters();

  constructor(sink: Writable, settings: AsciicastSettings) {
    this.sinks = [sink];
    this.takesInput = settings.input;
    this.#settings = settings;
  }

  begin({ name, size, date }: Beginning): void {
    const { version, term, title = harmless(name) } = this.#settings;
    const { columns, rows } = gridOf(size);
    const timestamp = Math.floor(date.getTime() / 1000);
    const header =
      version === 2
        ? { version, width: columns, height: rows, timestamp, title, env: { TERM: term } }
        : { version, term: { cols: columns, rows, type: term }, timestamp, title };
    this.#line(JSON.stringify(header));
  }

  output(at: number, bytes: Uint8Array): void {
    this.#text(at, 'o', this.#output.of(bytes));
  }

  input(at: number, bytes: Uint8Array): void {
    this.#text(at, 'i', this.#input.of(bytes));
  }

  resize(at: number, size: TerminalSize): void {
    const { columns, rows } = gridOf(size);
    this.#event(at, 'r', `${columns}x${rows}`);
  }

  mark(at: number, label: string): void {
    this.#event(at, 'm', harmless(label));
  }

  cut(at: number): void {
    this.#text(at, 'o', this.#output.rest());
  }

  end(at: number, exit: ConsoleExit | null): void {
    this.#text(at, 'i', this.#input.rest());
    this.cut(at);
    if (exit !== null && this.#settings.version === 3) this.#event(at, 'x', String(exitNumber(exit)));
  }

  #text(at: number, code: Code, text: string): void {
    if (text !== '') this.#event(at, code, text);
  }

  #event(at: number, code: Code, data: string): void {
    const time = this.#settings.version === 2 ? at : at - this.#last;
    this.#last = at;
    this.#line(`[${seconds(time)}, "${code}", ${JSON.stringify(data)}]`);
  }

  #line(text: string): void {
    this.sinks[0].write(Buffer.from(`${text}\n`));
  }
}

/** Bytes as the characters that they are in UTF-8, wherever they are cut. What is none is U+FFFD. */
class Characters {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** The characters that are whole by now. */
  of(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** What is left of one that never became whole. */
  rest(): string {
    return this.#decoder.decode();
  }
}
