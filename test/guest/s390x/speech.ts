// What the guest's driver and those of the host say to each other over the fabric between them, and what they move.
import { createHash } from 'node:crypto';

/** Of the functions on the fabric: the guest's, and two whose drivers are the host's. */
export const gids = { guest: 0x6e57n, peer: 0x9ee6n, leaver: 0x1ea7n } as const;

/** Codes of software events: what the guest asks for, and what the host's driver answers it with. */
export enum Said {
  /** The token of a DMB for the other. */
  offer = 1,
  /** Move the entry of `fills` that has this number. */
  fill = 2,
  /** The digest of the DMB that was offered. */
  digest = 3,
  /** The same back. */
  echo = 4,
  /** Close. */
  leave = 5,
}

/** Of the DMBs on both sides: the guest's comes to the function page by page. */
export const dmbBytes = 2 ** 18;

export interface Moved {
  /** In the DMB. */
  readonly offset: number;
  readonly length: number;
}

/** From the host into the guest, each with the signal of its number: any length, any place, also across pages. */
export const fills: readonly Moved[] = [
  { offset: 0, length: 1 },
  { offset: 13, length: 7 },
  { offset: 0x1003, length: 16 },
  { offset: 0x1ff0, length: 33 },
  { offset: 0x3001, length: 500 },
  { offset: 0x4000, length: 4096 },
  { offset: 0x6f01, length: 12_345 },
  { offset: dmbBytes - 100, length: 100 },
];

/** From the guest into the host, with a signal: all blocks that a strict function takes, one each. */
export const blocks: readonly Moved[] = Array.from({ length: 15 }, (_, i) => ({
  offset: i * 0x1000 + 8 * i,
  length: 16 + 8 * i,
}));

/** The same, of many blocks: it begins within one page and ends within the fourth. */
export const longMove: Moved = { offset: 0x2_0f98, length: 12_424 };

/** 64 bits of a SHA-256: what an event has room for. */
export function digestOf(memory: Uint8Array): bigint {
  return createHash('sha256').update(new Uint8Array(memory)).digest().readBigUInt64BE();
}
