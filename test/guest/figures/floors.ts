// The loops in C, and turns of them with the engine's: machines change their speed, so that only neighbours compare.
import { join } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { median } from 'simple-statistics';
import { packageRoot } from '../../support/child.js';
import { run } from '../support/run.js';

/** What floors.c became: a program, and a library. */
export interface Floors {
  readonly program: string;
  readonly library: string;
}

export function floorsIn(folder: string): Floors {
  return { program: join(folder, 'floors'), library: join(folder, 'floors.so') };
}

/** Compiles floors.c with the host's compiler. */
export async function buildFloors(folder: string): Promise<Floors> {
  const source = join(packageRoot, 'test', 'guest', 'figures', 'floors.c');
  const floors = floorsIn(folder);
  const words = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread', source];
  await run('gcc', [...words, '-o', floors.program]);
  await run('gcc', [...words, '-shared', '-fPIC', '-o', floors.library]);
  return floors;
}

/** Nanoseconds of so many passes. */
export type Loop = (passes: number) => number;

/** The loops over `bytes` of a device that this process has open: from `offset` on in the file of its descriptor. */
export class Loops {
  readonly #library: LibraryHandle;
  readonly #file: number;
  readonly #offset: bigint;
  readonly #source: Uint8Array;

  constructor({ library }: Floors, file: number, offset: bigint, source: Uint8Array) {
    this.#library = koffi.load(library);
    this.#file = file;
    this.#offset = offset;
    this.#source = source;
  }

  /** 8-byte stores into a mapping that is there until `use` has ended. */
  async stores(use: (loop: Loop) => Promise<void>): Promise<void> {
    const bytes = this.#source.length;
    const map = this.#library.func('void* floors_map(int, int64_t, uint64_t)');
    const unmap = this.#library.func('void floors_unmap(void*, uint64_t)');
    const stores = this.#library.func('int64_t floors_stores(void*, const void*, uint64_t, int)');
    const mapped = map(this.#file, this.#offset, bytes);
    try {
      await use((passes) => Number(stores(mapped, this.#source, bytes, passes)));
    } finally {
      unmap(mapped, bytes);
    }
  }

  /** pwrites of `block` bytes each. */
  pwrites(block: number): Loop {
    const pwrites = this.#library.func('int64_t floors_pwrites(int, int64_t, const void*, uint64_t, uint64_t, int)');
    return (passes) => Number(pwrites(this.#file, this.#offset, this.#source, this.#source.length, block, passes));
  }
}

export interface Ratio {
  /** Nanoseconds of C for each of the engine's: 1 is as fast, more is faster. */
  readonly ratio: number;
  /** Nanoseconds of the shortest pass. */
  readonly ours: number;
  readonly c: number;
}

const turns = 101;

/**
 * Takes turns, a pass each. What else runs on the machine only ever makes a pass longer, and an emulated processor shares
 * the host's with all of it: so the shortest passes are compared. Where passes are long, or the host never rests, one side
 * alone may have had an undisturbed one: then what neighbours took, by the median of the turns, says more. An engine that
 * is slow is slow by both, so the better of the two is the ratio.
 */
export function compare(loop: Loop, pass: () => void): Ratio {
  const times = Array.from({ length: turns }, () => {
    const c = loop(1);
    const began = process.hrtime.bigint();
    pass();
    return { c, ours: Number(process.hrtime.bigint() - began) };
  });
  const ours = Math.min(...times.map((turn) => turn.ours));
  const c = Math.min(...times.map((turn) => turn.c));
  return { ratio: Math.max(c / ours, median(times.map((turn) => turn.c / turn.ours))), ours, c };
}

/** A figure as it is printed, and as docs/guests.md quotes it. */
export function figure(what: string, { ratio, ours, c }: Ratio): string {
  return `figure: ${what}: ${ratio.toFixed(2)} of the C loop (${us(ours)} against ${us(c)} a pass)`;
}

export function us(nanoseconds: number): string {
  return `${(nanoseconds / 1000).toFixed(1)} us`;
}
