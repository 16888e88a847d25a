// Disks over ISM in one process: a target on one function, initiators on the other; media that wait, fail or count as a test says.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import {
  type BlockDevice,
  type BlockTarget,
  type Extent,
  type IsmDisk,
  memoryDisk,
  type NbdOptions,
  type OpenBlockOptions,
  openBlock,
  type ServeBlockOptions,
  serveBlock,
} from 'ismio/block';
import type { AdversaryOptions } from 'ismio/ism';
import { type Pair, pairOn, type Road } from './ism.js';
import { type Served, served as servedByNbd } from './nbd.js';

/** Rare enough that none comes within a test that counts moves. */
export const quiet = { heartbeat: 60_000 } as const;

export interface House {
  readonly pair: Pair;
  readonly disk: BlockDevice;
  readonly target: BlockTarget;
  /** What the target has said: 'attach', 'detach' and 'refused', each with its values. */
  readonly said: (readonly unknown[])[];
  open(options?: OpenBlockOptions): Promise<IsmDisk>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HouseOptions extends ServeBlockOptions {
  readonly road?: Road;
  readonly disk?: BlockDevice;
  /** Of the fabric. */
  readonly adversary?: AdversaryOptions;
}

export async function served(wanted: HouseOptions = {}): Promise<House> {
  const { road = 'device.open()', disk: given, adversary, ...options } = wanted;
  const pair = await pairOn(road, {}, adversary === undefined ? {} : { adversary });
  const disk = given ?? memoryDisk({ size: 2 ** 20 });
  const target = await serveBlock(pair.a, disk, { grace: 50, ...options });
  const said = heardOf(target);
  const opened: IsmDisk[] = [];
  return {
    ...{ pair, disk, target, said },
    async open(own = {}) {
      const initiator = await openBlock(pair.b, pair.a.gid, { grace: 50, ...own });
      opened.push(initiator);
      return initiator;
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened) await one.close();
      await target.close();
      await pair[Symbol.asyncDispose]();
    },
  };
}

/** What NBD exports: the disk itself, or what another function of a fabric has of it, by this road. */
export type Way = 'itself' | Road;

/** At a socket of the test's own; all of it is closed when the test ends, but for the disk. */
export async function exported(way: Way, t: TestContext, disk: BlockDevice, options: NbdOptions = {}): Promise<Served> {
  if (way === 'itself') return servedByNbd(t, disk, options);
  const house = await served({ road: way, disk });
  const over = await servedByNbd(t, await house.open(), options);
  t.after(async () => {
    const { breaches } = house.target.stats();
    await house[Symbol.asyncDispose]();
    assert.equal(breaches, 0);
  });
  return over;
}

export function heardOf(target: BlockTarget): (readonly unknown[])[] {
  const said: (readonly unknown[])[] = [];
  for (const name of ['attach', 'detach', 'refused'] as const) {
    target.on(name, (...values: unknown[]) => void said.push([name, ...values]));
  }
  return said;
}

/** A disk in memory whose calls wait until the test lets them go on, or fail as it says. */
export class SlowDisk implements BlockDevice {
  readonly name = 'slow';
  readonly readOnly = false;
  readonly blockSize;
  readonly features;
  readonly size: number;
  readonly inner: ReturnType<typeof memoryDisk>;
  /** Of calls that were made, in their order. */
  readonly calls: string[] = [];
  /** Errnos by which the next calls fail. */
  readonly failures: string[] = [];
  isHeld = false;
  readonly #held: (() => void)[] = [];

  constructor(size: number) {
    this.size = size;
    this.inner = memoryDisk({ size });
    this.blockSize = this.inner.blockSize;
    this.features = this.inner.features;
  }

  /** Calls that wait. */
  get held(): number {
    return this.#held.length;
  }

  release(): void {
    this.isHeld = false;
    for (const go of this.#held.splice(0)) go();
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    return this.#call('read', () => this.inner.read(offset, target));
  }

  write(offset: number, source: Uint8Array): Promise<void> {
    return this.#call('write', () => this.inner.write(offset, source));
  }

  flush(): Promise<void> {
    return this.#call('flush', () => undefined);
  }

  trim(offset: number, length: number): Promise<void> {
    return this.#call('trim', () => this.inner.trim(offset, length));
  }

  zero(offset: number, length: number): Promise<void> {
    return this.#call('zero', () => this.inner.zero(offset, length));
  }

  cache(): Promise<void> {
    return this.#call('cache', () => undefined);
  }

  extents(offset: number, length: number, most: number): Extent[] {
    return this.inner.extents(offset, length, most);
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  async #call(name: string, act: () => Promise<void> | undefined): Promise<void> {
    this.calls.push(name);
    if (this.isHeld) await new Promise<void>((go) => this.#held.push(go));
    const errno = this.failures.shift();
    if (errno !== undefined) throw Object.assign(new Error(`the medium says ${errno}`), { errno });
    await act();
  }
}
