// What an initiator asks of a disk, and how that ends.
import type { Extent } from '../disk.js';
import type { Command } from './wire.js';

/** How an operation ended: well, with extents where they were asked for, or with an errno's name; or it could not be asked. */
export type Outcome =
  | { readonly extents: readonly Extent[] }
  | { readonly errno: string }
  | { readonly error: Error }
  | null;

/** Something that is asked of the disk: as much as one slot takes. */
export interface Operation {
  readonly command: Command;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** Of extents. */
  readonly most: number;
  /** What a write writes, `length` bytes in all. */
  readonly pieces: readonly Uint8Array[];
  /** What a read fills, `length` bytes. */
  readonly target: Uint8Array | null;
  readonly ended: (outcome: Outcome) => void;
}
