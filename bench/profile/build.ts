// A build that is profiled, other than this one: a git ref, a directory or a tarball, as `ismio compare` takes them.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyOf } from '../compare/arms.js';
import { type BuiltSide, prepareSide, type Say } from '../compare/sides.js';
import { loadEngine } from '../engine.js';
import { passingFolder, scratchAdvice } from '../folders.js';
import { attempt } from '../outputs/write.js';
import type { Engine } from '../workload.js';

export interface LoadedBuild {
  readonly side: BuiltSide;
  readonly engine: Engine;
  /** Removes what was made to load it. */
  [Symbol.dispose](): void;
}

/** @throws IsmioError ERR_ISMIO_BASELINE where there is no such build, or it cannot be built */
export async function loadBuild(spec: string, say: Say): Promise<LoadedBuild> {
  const scratch = passingFolder(join(tmpdir(), 'ismio-profile-'), scratchAdvice);
  try {
    const side = await prepareSide(spec, scratch.path, say);
    // In a folder of its own, so that its addon is loaded beside the one of this package.
    const folder = attempt(scratch.path, () => copyOf(side, join(scratch.path, 'build')), scratchAdvice);
    return { side, engine: await loadEngine(folder), [Symbol.dispose]: scratch.remove };
  } catch (error) {
    scratch.remove();
    throw error;
  }
}
