// What a console is the far end of: a command in a pseudo-terminal, a serial line, a pipe, or anything of a program's own.
import type { TerminalSize } from './view.js';

/** How a line ended. */
export interface LineEnd {
  /** What the command returned, or -1 where there was none. */
  readonly status: number;
  /** The signal that ended it. */
  readonly signal: number | null;
}

/** What a line tells. */
export interface LineListener {
  output(bytes: Uint8Array): void;
  /** It has taken all that was written. */
  drained(): void;
  ended(end: LineEnd): void;
}

/** A line that was opened. */
export interface Line {
  /** What it is, for people. */
  readonly title: string;
  /** Takes keys. False: enough is waiting now, until `drained`. */
  write(bytes: Uint8Array): boolean;
  /** Whoever is in its foreground is told by SIGWINCH, where the line is a terminal. */
  resize?(size: TerminalSize): void;
  sendBreak?(): void;
  /** Gives it up: a command gets SIGHUP. */
  close(): void;
}

/** Opens a line. Once more, where the console's policy is to restart it. */
export type OpenLine = (listener: LineListener, size: TerminalSize) => Line | Promise<Line>;
