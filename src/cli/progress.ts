// A bar on stderr for work that turns out to last, when somebody looks on.
import { SingleBar } from 'cli-progress';
import { atExit } from '../support/exit.js';

/** Before this nobody has begun to wait. */
const patienceMilliseconds = 1000;

export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #began = performance.now();
  #bar: SingleBar | null = null;
  #forget: (() => void) | null = null;

  /** @param total of anything; 0 for no bar at all */
  constructor(label: string, total: number) {
    this.#label = label;
    this.#total = process.stderr.isTTY ? total : 0;
  }

  /** @param doing what is being done now, where that changes */
  at(done: number, doing = ''): void {
    if (this.#total === 0) return;
    if (this.#bar === null && performance.now() - this.#began < patienceMilliseconds) return;
    this.#bar ??= this.#start();
    this.#bar.update(done, { doing });
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    this.#forget?.();
    this.#bar?.stop();
    this.#bar = null;
  }

  #start(): SingleBar {
    const bar = new SingleBar({
      format: `${this.#label} {bar} {percentage}%, {eta_formatted} left {doing}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 30,
      clearOnComplete: true,
      hideCursor: false,
      stream: process.stderr,
    });
    bar.start(this.#total, 0, { doing: '' });
    this.#forget = atExit(() => bar.stop()); // the terminal is as it was, however the command ends
    return bar;
  }
}

/**
 * For work of which nobody knows how long it takes: how long it has taken, once that is more than a second. Where stderr is no
 * terminal, one line says what is being done.
 */
export class Waiting {
  readonly #bar: SingleBar | null;
  readonly #timer: NodeJS.Timeout | null = null;
  readonly #forget: (() => void) | null = null;

  constructor(label: string) {
    if (!process.stderr.isTTY) {
      process.stderr.write(`${label} ..\n`);
      this.#bar = null;
      return;
    }
    const bar = new SingleBar({
      format: `${label}, {duration_formatted}`,
      clearOnComplete: true,
      hideCursor: false,
      stream: process.stderr,
    });
    this.#bar = bar;
    let started = false;
    this.#timer = setInterval(() => {
      if (!started) bar.start(1, 0);
      started = true;
      bar.update(0);
    }, patienceMilliseconds);
    this.#forget = atExit(() => bar.stop());
  }

  /** Takes it away. */
  [Symbol.dispose](): void {
    this.#forget?.();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#bar?.stop();
  }
}
