// What `ismio bench --json` and `ismio compare --json` write: docs/results.md describes it for readers. Times are in
// nanoseconds for one operation.
import type { Counters } from './workload.js';

export const benchSchema = 'ismio-bench/1';
export const compareSchema = 'ismio-compare/1';

export interface Environment {
  readonly cpu: string;
  readonly cores: number;
  readonly arch: string;
  /** Linux release. */
  readonly kernel: string;
  readonly node: string;
  /** Access kernels chosen, by what for. */
  readonly kernels: Readonly<Record<string, string | null>>;
  /** cpufreq governor; null where there is none to be read. */
  readonly governor: string | null;
  /** 1-minute load average when the run began. */
  readonly load: number;
  /** Smallest step of the clock that was seen. */
  readonly timerResolution: number;
  /** Hex, from what stays the same on one machine: CPU model, cores, arch, memory, kernels, Node.js' major version. */
  readonly machine: string;
}

/** Five numbers of a distribution. */
export interface Distribution {
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly max: number;
}

export interface Measured {
  readonly median: number;
  /** Median absolute deviation of the rounds' medians. */
  readonly mad: number;
  /** Batches timed. */
  readonly samples: number;
  /** Of the rounds' medians. */
  readonly distribution: Distribution;
}

export interface BenchResult {
  readonly name: string;
  readonly title: string;
  /** What the numbers of `measured` and `value` are in. */
  readonly unit: 'ns/op' | 'ms' | 'MiB' | 'operations';
  readonly measured: Measured;
  /** Of one batch. */
  readonly operations: number;
  readonly bytes: number;
  /** Device operations of one batch: loads + stores + storeBlocks. */
  readonly issued: number | null;
  readonly counters: Counters | null;
  readonly floor: (Measured & { readonly title: string }) | null;
  /** How many times faster than the floor: median over the rounds. */
  readonly ratio: number | null;
  readonly target: { readonly atLeast: number } | { readonly atMost: number } | null;
  readonly reached: boolean | null;
  readonly scale: { readonly curve: string; readonly at: number; readonly unit: string } | null;
  /** Nanoseconds for one operation, by stage: enqueue, merge, plan, copy, device, completion. Null where none were taken. */
  readonly stages: Readonly<Record<string, number>> | null;
  readonly note: string | null;
}

export interface BenchReport {
  readonly schema: typeof benchSchema;
  readonly version: string;
  /** Of the checkout that was measured; null outside of one. '-dirty' behind it where files had changed. */
  readonly commit: string | null;
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly seconds: number;
  readonly quick: boolean;
  readonly environment: Environment;
  readonly results: readonly BenchResult[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

export type Verdict = 'pass' | 'regressed' | 'improved' | 'inconclusive' | 'contaminated';

/** Above 1: head is slower. */
export interface Estimate {
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** Confidence of the interval [low, high], after Holm's correction. */
  readonly level: number;
  /** One median ratio for each process. */
  readonly processes: readonly number[];
}

export interface ComparedTime {
  readonly name: string;
  readonly title: string;
  readonly unit: 'ns/op' | 'ms' | 'MiB';
  readonly method: 'paired slices' | 'alternating processes';
  /** A change of less than this share is none. Larger for what swings more. */
  readonly delta: number;
  readonly verdict: Verdict;
  /** One sentence: why this verdict. */
  readonly reason: string;
  readonly base: Distribution;
  readonly head: Distribution;
  /** One to three: the later ones run only where the verdict was open. */
  readonly rounds: readonly { readonly head: Estimate; readonly null: Estimate }[];
  /** Head over base, and base over itself, over the processes of all rounds. */
  readonly overall: Estimate;
  readonly nullOverall: Estimate;
}

export interface ComparedCount {
  readonly name: string;
  readonly counter: string;
  readonly base: number;
  readonly head: number;
  readonly tolerance: number;
  readonly verdict: Verdict;
}

export interface ComparedInstructions {
  readonly name: string;
  /** Instructions of the native core for one operation. */
  readonly base: number;
  readonly head: number;
  readonly tolerance: number;
  readonly verdict: Verdict;
}

export interface Side {
  /** As it was given. */
  readonly spec: string;
  readonly kind: 'ref' | 'directory' | 'tarball';
  readonly version: string;
  readonly commit: string | null;
}

export interface CompareReport {
  readonly schema: typeof compareSchema;
  readonly version: string;
  readonly started: string;
  readonly seconds: number;
  readonly quick: boolean;
  readonly seed: number;
  readonly options: {
    /** A change of less than this share is no regression. */
    readonly delta: number;
    readonly processes: number;
    readonly slices: number;
    readonly sliceMilliseconds: number;
    readonly level: number;
  };
  readonly base: Side;
  readonly head: Side;
  readonly environment: Environment;
  readonly verdict: Verdict;
  readonly exitCode: 0 | 1 | 2;
  readonly counters: readonly ComparedCount[];
  readonly instructions: readonly ComparedInstructions[];
  readonly times: readonly ComparedTime[];
  /** Gates and benchmarks that did not run, each with its reason. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}
