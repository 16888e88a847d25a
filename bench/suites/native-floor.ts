// Floors in C++. Nothing here sees an object of the engine, so that the suites may share it.
import type { Floors } from '../floors.js';
import type { Engine, Floor, Window } from '../workload.js';

export function openFloors(floors: Floors, window: Window): void {
  if (!floors.open(window.path, window.bytes)) throw new Error(`the floors' addon cannot map ${window.path}`);
}

const titles = {
  copyLoop: 'a C++ memcpy loop over the same window',
  copyBackLoop: 'a C++ memcpy loop out of the same window',
  storeLoop: 'a C++ loop of the device-safe kernel',
  burstLoop: 'a C++ loop of the kernel with bursts',
  loadLoop: 'a C++ loop of 8-byte loads',
  pwriteLoop: 'a C++ loop of the same pwrites',
  preadLoop: 'a C++ loop of the same preads',
};

/** A loop over the window in C++: `operations` of so many bytes, each in pieces of `piece`. */
export function nativeLoop(loop: keyof typeof titles, operations: number, bytes: number, piece = bytes): Floor {
  return {
    title: titles[loop],
    operations,
    native: true,
    open(window, floors) {
      const run = floors[loop];
      if (run === undefined) throw new Error(`the floors' addon has no ${loop} on this CPU`);
      openFloors(floors, window);
      const pieces = (operations * bytes) / piece;
      return { batch: () => run(pieces, piece), close: () => undefined };
    },
  };
}

/** Builds from before there was VFIO only map files. */
export const noPread = (engine: Partial<Engine>): string | null =>
  engine.openVfio === undefined ? 'this build has no regions by pread and pwrite' : null;
