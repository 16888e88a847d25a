// What drivers ask of a region: single accesses, bytes, order. Whatever offers these can stand in for one that was opened.
import type { Fence } from '../addon/wire.js';
import type { BytesLike, Whole } from '../support/check.js';
import type { Rules } from './rules.js';

/** Order of the bytes of a value in the region. PCI and most devices: 'le'. All ISM structures: 'be'. */
export type ByteOrder = 'le' | 'be';

/**
 * A window of bytes of a device, or of memory. A `Region` is one; so can be what a test or another program puts in its place.
 * Offsets are bytes from its start, as numbers or bigints; docs/api/errors.md has what each method throws.
 */
export interface RegionLike {
  /** What messages call it: the path, the function and BAR, or the name that was given. */
  readonly name: string;
  /** How long the region is, in bytes. */
  readonly size: number;
  /** What one store to it may be. */
  readonly rules: Rules;
  /** 'device': touched with exactly the accesses asked for. 'memory': copied in the fastest way. */
  readonly kind: 'device' | 'memory';
  /** Whether it may be stored to; a store to one that may not throws ERR_ISMIO_READ_ONLY. */
  readonly writable: boolean;
  /** Whether the region was closed: it takes nothing more. */
  readonly closed: boolean;

  /** Makes one 1-byte load. */
  load8(offset: Whole): number;
  /** Makes one 2-byte load at a multiple of 2. */
  load16(offset: Whole, order?: ByteOrder): number;
  /** Makes one 4-byte load at a multiple of 4. */
  load32(offset: Whole, order?: ByteOrder): number;
  /** Makes one 8-byte load at a multiple of 8. */
  load64(offset: Whole, order?: ByteOrder): bigint;
  /** Makes one 1-byte store. */
  store8(offset: Whole, value: number): void;
  /** Makes one 2-byte store at a multiple of 2. */
  store16(offset: Whole, value: number, order?: ByteOrder): void;
  /** Makes one 4-byte store at a multiple of 4. */
  store32(offset: Whole, value: number, order?: ByteOrder): void;
  /** Makes one 8-byte store at a multiple of 8. */
  store64(offset: Whole, value: bigint, order?: ByteOrder): void;

  /** Fills `target` from `offset` on: any length, any alignment. */
  read(offset: Whole, target: BytesLike): void;
  /** Makes exactly one store block of `source`. */
  storeBlock(offset: Whole, source: BytesLike): void;
  /** Stores `source` at `offset` in the fewest store blocks and stores that the rules allow. */
  write(offset: Whole, source: BytesLike): void;
  /** Keeps accesses on either side of it apart; 'full' where no purpose is given. */
  fence(purpose?: Fence): void;
}
