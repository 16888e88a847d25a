// The far end of a console as a test has it: it says what the test says, and keeps the keys that come.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsoleClient, Line, LineListener, OpenLine, TerminalSize } from 'ismio/console';
import { patience } from './scale.js';

export class TestLine implements Line {
  readonly title: string;
  readonly keys: Buffer[] = [];
  readonly sizes: TerminalSize[] = [];
  breaks = 0;
  isClosed = false;
  /** How often it was opened. */
  opened = 0;
  /** Whether it takes keys. */
  isFull = false;
  #listener: LineListener | null = null;

  constructor(title = 'a test') {
    this.title = title;
  }

  readonly open: OpenLine = (listener, size) => {
    this.#listener = listener;
    this.opened++;
    this.sizes.push(size);
    return this;
  };

  say(output: string | Uint8Array): void {
    this.#listener?.output(Buffer.from(output as Uint8Array));
  }

  end(status: number, signal: number | null = null): void {
    this.#listener?.ended({ status, signal });
  }

  drain(): void {
    this.isFull = false;
    this.#listener?.drained();
  }

  get typed(): string {
    return Buffer.concat(this.keys).toString('latin1');
  }

  write(bytes: Uint8Array): boolean {
    this.keys.push(Buffer.from(bytes));
    return !this.isFull;
  }

  resize(size: TerminalSize): void {
    this.sizes.push(size);
  }

  sendBreak(): void {
    this.breaks++;
  }

  close(): void {
    this.isClosed = true;
  }
}

/** What a client has heard, in the order in which it came. */
export interface Heard {
  readonly events: unknown[][];
  /** All output, one piece. */
  readonly output: () => string;
}

export function heardOf(client: ConsoleClient): Heard {
  const events: unknown[][] = [];
  const pieces: Uint8Array[] = [];
  client.on('data', (bytes) => void pieces.push(bytes));
  for (const name of ['screen', 'gap', 'size', 'role', 'notice', 'exit', 'state', 'drain', 'error'] as const) {
    client.on(name, (...values: unknown[]) => void events.push([name, ...values]));
  }
  return { events, output: () => Buffer.concat(pieces).toString('latin1') };
}

/** Waits until it holds; fails with these words where it does not come to that. */
export async function until(holds: () => boolean, words: string): Promise<void> {
  const end = performance.now() + patience(20_000);
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it did not come to this: ${words}`);
    await sleep(2);
  }
}

/** Waits for its end, whether an error comes before it or not. */
export function closed(client: ConsoleClient): Promise<void> {
  return new Promise((resolve) => client.once('close', resolve));
}
