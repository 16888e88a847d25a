// The terminal: as large as the window for whoever writes, and as large as the console is for a viewer, who scrolls.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import type { TerminalSize } from '../../view.js';
import { followColours } from './colours.js';

/** What the terminal asks for. */
export interface ScreenWishes {
  /** Keys were typed. */
  type(keys: Uint8Array): void;
  /** The window has room for another size. */
  fits(size: TerminalSize): void;
}

/** What ends an escape sequence that was cut off, and takes its colours away. */
const settle = '\x18\x1b[0m';

export class Screen {
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #place: HTMLElement;
  readonly #wishes: ScreenWishes;
  #isWriter = false;
  #isAsked = false;

  constructor(place: HTMLElement, wishes: ScreenWishes) {
    this.#place = place;
    this.#wishes = wishes;
    const fontFamily = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
    this.#terminal = new Terminal({ fontFamily, fontSize: 14, scrollback: 10_000, cursorBlink: true });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.open(place);
    followColours((theme) => {
      this.#terminal.options.theme = theme;
    });
    const encoder = new TextEncoder();
    this.#terminal.onData((text) => wishes.type(encoder.encode(text)));
    this.#terminal.onBinary((text) => wishes.type(Uint8Array.from(text, (one) => one.charCodeAt(0))));
    new ResizeObserver(() => this.#fitSoon()).observe(place);
  }

  /** @param shown is called once they are on the screen */
  write(bytes: Uint8Array, shown: () => void): void {
    this.#terminal.write(bytes, shown);
  }

  /** Bytes are missing here. */
  cut(): void {
    this.#terminal.write(settle);
  }

  /** What comes draws all of it. Behind what waits to be shown, which is gone then. */
  clear(): void {
    this.#terminal.write('\x1bc');
  }

  /** The console has this size. */
  resize({ columns, rows }: TerminalSize): void {
    // Behind the output before it, which was meant for the size before.
    this.#terminal.write('', () => this.#terminal.resize(columns || 80, rows || 24));
  }

  become(role: 'view' | 'write'): void {
    this.#isWriter = role === 'write';
    this.#place.classList.toggle('viewing', !this.#isWriter);
    this.#terminal.options.disableStdin = !this.#isWriter;
    if (this.#isWriter) this.#fitSoon();
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** Once before the next picture, however often the window changes until then. */
  #fitSoon(): void {
    if (this.#isAsked || !this.#isWriter) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      const room = this.#fit.proposeDimensions();
      if (this.#isWriter && room !== undefined) this.#wishes.fits(this.#sizeOf(room.cols, room.rows));
    });
  }

  #sizeOf(columns: number, rows: number): TerminalSize {
    const { clientWidth = 0, clientHeight = 0 } = this.#place.querySelector('.xterm-screen') ?? {};
    const pixels = (length: number, now: number, then: number): number =>
      Math.min(65_535, Math.round((length / now) * then * devicePixelRatio));
    const [most, all] = [1000, this.#terminal];
    const size = { columns: Math.min(columns, most), rows: Math.min(rows, most) };
    return {
      ...size,
      xPixels: pixels(clientWidth, all.cols, size.columns),
      yPixels: pixels(clientHeight, all.rows, size.rows),
    };
  }
}
