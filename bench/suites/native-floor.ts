// Floors in C++. Nothing here sees an object of the engine, so that the suites may share it.
import type { Floors } from '../floors.js';
import type { Engine, Floor, Window } from '../workload.js';

export function openFloors(floors: Floors, window: Window): void {
  if (!floors.open(window.path, window.bytes)) throw new Error(`the floors' addon cannot map ${window.path}`);
}

const titles = {
  copyLoop: 'a C++ memcpy loop to the same places of a mapping, from as much memory',
  copyBackLoop: 'a C++ memcpy loop from the same places of a mapping, to as much memory',
  storeLoop: 'a C++ loop of the device-safe kernel to the same places of a mapping, from as much memory',
  burstLoop: 'a C++ loop of the kernel with bursts to the same places of a mapping, from as much memory',
  loadLoop: 'a C++ loop of 8-byte loads from the same places of a mapping, to as much memory',
  pwriteLoop: 'a C++ loop of the same pwrites, from as much memory',
  preadLoop: 'a C++ loop of the same preads, to as much memory',
};

/** What a loop has to have in common with its subject: a copy takes as long as its places and its memory make it. */
export interface Blocks {
  /** In one batch, and the bytes of each. */
  readonly operations: number;
  readonly bytes: number;
  /** Bytes of a system call, where one cannot move all. */
  readonly piece?: number;
  /** Offset of the first; 0 where nothing is said. */
  readonly first?: number;
  /** From each to the next; as long as one is where nothing is said. */
  readonly distance?: number;
  /** The subject's own, or memory of the same kind, size and alignment; once through, it is used again. */
  memory(window: Window, engine: Engine): Uint8Array;
}

/** The same blocks in C++. */
export function nativeLoop(loop: keyof typeof titles, blocks: Blocks): Floor {
  const { operations, bytes, piece = bytes, first = 0, distance = piece, memory } = blocks;
  return {
    title: titles[loop],
    operations,
    native: true,
    open(window, floors, engine) {
      const run = floors[loop];
      if (run === undefined) throw new Error(`the floors' addon has no ${loop} on this CPU`);
      openFloors(floors, window);
      floors.use(memory(window, engine));
      const pieces = (operations * bytes) / piece;
      return { batch: () => run(pieces, piece, first, distance), close: () => undefined };
    },
  };
}

/** As much of the window's ordinary memory as one operation moves: the same bytes for each. */
export const oneSource = ({ ordinary }: Window, bytes: number): Uint8Array => ordinary.subarray(0, bytes);

/** As much of the engine's memory as the window has. */
export const wholeSource = ({ bytes }: Window, engine: Engine): Uint8Array => engine.allocBuffer(bytes).fill(0x5a);

/** Builds from before there was VFIO only map files. */
export const noPread = (engine: Partial<Engine>): string | null =>
  engine.openVfio === undefined ? 'this build has no regions by pread and pwrite' : null;
