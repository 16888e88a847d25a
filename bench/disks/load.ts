// One workload on a disk for some time: so many requests in flight, each followed by the next, and how long each took.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import type { BlockDevice } from 'ismio/block';
import { IsmioError } from '../../src/support/errors.js';
import { Latencies } from './latencies.js';

export const workloads = ['random-read', 'random-write', 'sequential-read', 'sequential-write'] as const;
export type DiskWorkload = (typeof workloads)[number];

export function isWriting(workload: DiskWorkload): boolean {
  return workload.endsWith('write');
}

export interface LoadOptions {
  readonly workload: DiskWorkload;
  /** Bytes of a request. */
  readonly bytes: number;
  /** Requests in flight. */
  readonly depth: number;
  readonly milliseconds: number;
  /** Store blocks that this end has made, of a disk that is reached by them. */
  readonly moves: (() => number) | null;
  readonly signal: AbortSignal;
}

/** What came of it. */
export interface Turn {
  readonly requests: number;
  readonly seconds: number;
  /** Nanoseconds from a call to its answer. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Nanoseconds that all threads of this process took for one request, in user and system. */
  readonly cpu: number;
  /** Of one request. */
  readonly moves: number | null;
  /** Milliseconds, of perf_hooks' timer of 1 ms, which is in it. */
  readonly loopDelay: number;
}

/** Milliseconds after which a disk that answers before it returns lets the event loop turn. */
const turnTime = 1;

export async function runLoad(disk: BlockDevice, options: LoadOptions): Promise<Turn> {
  return await new Load(disk, options).run();
}

class Load {
  readonly #disk: BlockDevice;
  readonly #options: LoadOptions;
  readonly #latencies = new Latencies();
  readonly #places: number;
  #end = 0;
  #next = 0;
  #failure: unknown = null;

  constructor(disk: BlockDevice, options: LoadOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#places = Math.floor(disk.size / options.bytes);
  }

  async run(): Promise<Turn> {
    const { workload, milliseconds, depth, moves } = this.#options;
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const before = moves?.() ?? 0;
    const usedBefore = process.cpuUsage();
    const began = performance.now();
    this.#end = began + milliseconds;
    await Promise.all(Array.from({ length: depth }, (_, lane) => this.#lane(lane)));
    if (this.#failure !== null) throw this.#failure;
    if (isWriting(workload)) await this.#disk.flush();
    const seconds = (performance.now() - began) / 1000;
    const used = process.cpuUsage(usedBefore);
    delay.disable();
    const { count: requests } = this.#latencies;
    const cpu = ((used.user + used.system) * 1000) / requests;
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => this.#latencies.at(share)) as [number, number, number];
    const perRequest = moves === null ? null : (moves() - before) / requests;
    return { requests, seconds, p50, p99, p999, cpu, moves: perRequest, loopDelay: delay.percentile(99) / 1e6 };
  }

  /** Ends early where another one failed: what is in flight is waited for, and the first failure told. */
  async #lane(lane: number): Promise<void> {
    const buffer = filled(this.#options.bytes);
    let turn = performance.now();
    let began = turn;
    try {
      do {
        const done = this.#ask(buffer);
        if (done !== undefined) await done;
        const ended = performance.now();
        this.#latencies.add((ended - began) * 1e6);
        began = ended;
        // A disk that answers before it returns has nothing in flight: one lane does all that it can do.
        if (done === undefined && lane > 0) return;
        if (done !== undefined || ended - turn < turnTime) continue;
        await setImmediate();
        turn = performance.now();
        began = turn;
      } while (began < this.#end && this.#failure === null);
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #ask(buffer: Uint8Array): Promise<void> | undefined {
    const { workload, bytes, signal } = this.#options;
    if (signal.aborted) throw new IsmioError('ERR_ISMIO_ABORTED', 'the measurement was ended', {}, signal.reason);
    const isRandom = workload.startsWith('random');
    const place = isRandom ? Math.floor(Math.random() * this.#places) : this.#next++ % this.#places;
    return isWriting(workload) ? this.#disk.write(place * bytes, buffer) : this.#disk.read(place * bytes, buffer);
  }
}

/** Bytes that no medium makes less of. */
export function filled(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}
