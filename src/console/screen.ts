// The screen as it is: a terminal without a picture that follows the history when there is time for it, so that a newcomer gets
// what is on the screen without all that was ever said. Under much output it is behind, and leaps: what is on a screen is nearly
// always of the last of it.
import { setTimeout } from 'node:timers';
import type { SerializeAddon } from '@xterm/addon-serialize';
import type { Terminal } from '@xterm/headless';
import type { History } from './history.js';
import type { TerminalSize } from './view.js';
import { longestFromServer } from './wire.js';

/** What it is behind at most before it leaps. A terminal takes 10 MiB a second and more. */
const longestLag = 131_072;
/** Bytes that it takes at a time. */
const portion = 16_384;
/** Milliseconds between them, while there is output. */
const pause = 20;
/** Lines above the screen that a newcomer gets too. */
const scrollback = 500;

/** The ordinary screen, colours and modes off, the cursor to the corner, all cleared. */
const cleared = '\x1b[?1049l\x1b[!p\x1b[0m\x1b[H\x1b[2J\x1b[3J';

interface Shown {
  readonly bytes: Uint8Array;
  /** Output behind this position is not on it. */
  readonly position: number;
}

export class Screen {
  readonly #history: History;
  readonly #terminal: Terminal;
  readonly #serializer: SerializeAddon;
  #position = 0;
  #timer: NodeJS.Timeout | null = null;
  /** What is being written to the terminal. */
  #writing: Promise<void> = Promise.resolve();
  /** The last size that was asked for, while it waits. */
  #wanted: TerminalSize | null = null;
  #isClosed = false;

  static async of(history: History, size: TerminalSize): Promise<Screen> {
    const [headless, serialize] = await Promise.all([import('@xterm/headless'), import('@xterm/addon-serialize')]);
    const terminal = new headless.default.Terminal({
      ...grid(size),
      scrollback,
      logLevel: 'off',
      allowProposedApi: true,
    });
    const serializer = new serialize.default.SerializeAddon();
    terminal.loadAddon(serializer as unknown as Parameters<Terminal['loadAddon']>[0]);
    return new Screen(history, terminal, serializer);
  }

  private constructor(history: History, terminal: Terminal, serializer: SerializeAddon) {
    this.#history = history;
    this.#terminal = terminal;
    this.#serializer = serializer;
    this.follow();
  }

  /** There is output. */
  follow(): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = setTimeout(() => this.#next(), pause);
    this.#timer.unref();
  }

  resize(size: TerminalSize): void {
    const isWaiting = this.#wanted !== null;
    this.#wanted = size;
    if (isWaiting) return;
    this.#queue(() => {
      const { cols, rows } = grid(this.#wanted as TerminalSize);
      this.#wanted = null;
      this.#terminal.resize(cols, rows);
    });
  }

  /** What draws the screen as the output up to now has left it. */
  async now(): Promise<Shown> {
    const { end } = this.#history;
    this.#queue(() => this.#take(end));
    let shown: Shown = { bytes: new Uint8Array(), position: end };
    this.#queue(() => {
      shown = { bytes: this.#drawn(), position: this.#position };
    });
    await this.#writing;
    return shown;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#queue(() => this.#terminal.dispose());
  }

  #next(): void {
    this.#timer = null;
    this.#queue(() => this.#take(Math.min(this.#history.end, this.#at() + portion)));
    this.#queue(() => {
      if (this.#position < this.#history.end) this.follow();
    });
  }

  /** Where it goes on. */
  #at(): number {
    const { start, end } = this.#history;
    return Math.max(this.#position, start, end - longestLag);
  }

  #take(end: number): void | Promise<void> {
    const from = this.#at();
    if (end <= from) return;
    if (from > this.#position) this.#terminal.reset();
    const bytes = Buffer.allocUnsafe(end - from);
    this.#history.copy(from, bytes);
    this.#position = end;
    return new Promise((resolve) => this.#terminal.write(bytes, resolve));
  }

  #drawn(): Uint8Array {
    const whole = Buffer.from(cleared + this.#serializer.serialize());
    const most = longestFromServer - 64;
    if (whole.length <= most) return whole;
    const one = Buffer.from(cleared + this.#serializer.serialize({ scrollback: 0 }));
    return one.length <= most ? one : Buffer.from(cleared);
  }

  /** One thing behind the other; a terminal that was disposed of takes nothing any more. */
  #queue(act: () => void | Promise<void>): void {
    this.#writing = this.#writing.then(act).catch(() => undefined);
  }
}

function grid({ columns, rows }: TerminalSize): { cols: number; rows: number } {
  return { cols: columns || 80, rows: rows || 24 };
}
