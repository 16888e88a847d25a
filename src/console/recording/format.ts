// What a format of recordings is: it is told what happened and when, and writes that to its sinks. How much waits in them, and
// what becomes of what has no room, is the recorder's affair.
import type { Writable } from 'node:stream';
import type { TerminalSize } from '../view.js';

/** How a command ended, as consoles tell it. */
export interface ConsoleExit {
  readonly status: number | null;
  readonly signal: string | null;
}

/** What a recording says of its console at its beginning. */
export interface Beginning {
  readonly name: string;
  readonly size: TerminalSize;
  readonly date: Date;
}

/** A format of recordings. Times are whole microseconds since the beginning, and never go back. */
export interface RecordingFormat {
  /** The streams that it writes to. */
  readonly sinks: readonly Writable[];
  /** Whether it records what is typed. */
  readonly takesInput: boolean;
  begin(beginning: Beginning): void;
  output(at: number, bytes: Uint8Array): void;
  input(at: number, bytes: Uint8Array): void;
  resize(at: number, size: TerminalSize): void;
  /** A line for people at this place. */
  mark(at: number, label: string): void;
  /** The next output does not continue the last: half a character stays one. */
  cut(at: number): void;
  /** @param exit the last one, where the command ended */
  end(at: number, exit: ConsoleExit | null): void;
}

/** Seconds as both formats write them. */
export function seconds(microseconds: number): string {
  return (microseconds / 1e6).toFixed(6);
}

/** Columns and rows as players need them: at least one of each. */
export function gridOf({ columns, rows }: TerminalSize): { columns: number; rows: number } {
  return { columns: columns || 80, rows: rows || 24 };
}
