// What a page and its server say to each other. Output and keys are binary messages, everything else is JSON.
import { harmless } from '../../support/text.js';
import type { ConsoleRole, TerminalSize } from '../view.js';

/** What the server tells. */
export type ToPage =
  | { type: 'hello'; name: string; role: ConsoleRole; size: TerminalSize }
  /** The next output draws the whole screen. */
  | { type: 'screen' }
  /** So many bytes of output are missing here. */
  | { type: 'gap'; bytes: number }
  | { type: 'size'; size: TerminalSize }
  | { type: 'role'; role: ConsoleRole; reason: string }
  | { type: 'notice'; text: string }
  | { type: 'exit'; text: string }
  | { type: 'state'; state: 'connecting' | 'open' | 'lost' }
  /** Nothing comes any more. */
  | { type: 'end'; text: string };

/** What a page asks for. */
export type FromPage =
  /** So many bytes of output more are on its screen. */
  | { type: 'shown'; bytes: number }
  | { type: 'size'; size: TerminalSize }
  | { type: 'break' }
  | { type: 'request'; role: ConsoleRole; reason?: string };

/** The longest message that a page may send, keys too. */
export const longestMessage = 64 * 1024;

const longestText = 2048;
const longestReason = 200;

/** What a page asks for, or null where it is nothing that a page of ours says. */
export function askedBy(text: string): FromPage | null {
  const asked = parsed(text);
  if (asked === null) return null;
  const { type, bytes, size, role, reason } = asked;
  if (type === 'shown') return isBetween(bytes, 1, Number.MAX_SAFE_INTEGER) ? { type, bytes } : null;
  if (type === 'size') return sizeOf(size);
  if (type === 'break') return { type };
  if (type !== 'request' || (role !== 'view' && role !== 'write')) return null;
  if (reason === undefined) return { type, role };
  if (typeof reason !== 'string' || reason.length > longestReason) return null;
  return { type, role, reason: harmless(reason) };
}

function parsed(text: string): Record<string, unknown> | null {
  if (text.length > longestText) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

function sizeOf(size: unknown): FromPage | null {
  if (typeof size !== 'object' || size === null) return null;
  const { columns, rows, xPixels, yPixels } = size as Record<string, unknown>;
  if (!isBetween(columns, 1, 1000) || !isBetween(rows, 1, 1000)) return null;
  if (!isBetween(xPixels, 0, 65_535) || !isBetween(yPixels, 0, 65_535)) return null;
  return { type: 'size', size: { columns, rows, xPixels, yPixels } };
}

function isBetween(value: unknown, least: number, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}
