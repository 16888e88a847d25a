// Documents of results for tests of what is made of them. Their figures are made up.
import type {
  BenchReport,
  BenchResult,
  ComparedCount,
  ComparedInstructions,
  ComparedTime,
  CompareReport,
  Distribution,
  Environment,
  Estimate,
  Measured,
  Verdict,
} from '../../bench/results.js';

export const environment: Environment = {
  cpu: 'AMD EPYC 9V74',
  cores: 2,
  arch: 'x64',
  kernel: '6.18.0',
  node: '20.20.2',
  kernels: { cpu: 'x86-64', memory: 'avx512', mapped: 'sse2', resource: 'mov', burst: null },
  governor: null,
  load: 0.25,
  timerResolution: 30,
  machine: '8f3c2a10d4e5b697',
};

/** A distribution around its median; `spread` is a share of it. */
export function distribution(median: number, spread = 0.02): Distribution {
  const at = (share: number) => median * (1 + share * spread);
  return { min: at(-2), q1: at(-1), median, q3: at(1), max: at(4) };
}

export function measured(median: number, spread = 0.02): Measured {
  return { median, mad: median * spread * 0.7, samples: 480, distribution: distribution(median, spread) };
}

export function benchResult(given: Partial<BenchResult> = {}): BenchResult {
  return {
    name: 'queue/stores-8B/adjacent',
    title: 'sequential 8-byte stores, queued and merged',
    unit: 'ns/op',
    measured: measured(6.4),
    operations: 4096,
    bytes: 32768,
    issued: 8,
    counters: { loads: 0, stores: 0, storeBlocks: 8, bytes: 32768, merged: 4088, crossings: 1, copies: 1 },
    floor: { ...measured(34.7), title: 'one plain Node-API call per store' },
    ratio: 5.42,
    target: { atLeast: 8 },
    reached: false,
    scale: null,
    stages: null,
    note: null,
    ...given,
  };
}

export function benchReport(given: Partial<BenchReport> = {}): BenchReport {
  return {
    schema: 'ismio-bench/1',
    version: '0.1.0',
    commit: '27064ee81c0ab3a4b14b80eb7e6f3ee34c1f11aa',
    started: '2026-03-01T12:34:56.789Z',
    seconds: 61.5,
    quick: false,
    environment,
    results: [benchResult()],
    skipped: [],
    ...given,
  };
}

/** Process ratios around one, as regular as a comb: `count` of them, the outermost `spread` away. */
export function estimate(ratio: number, spread = 0.01, count = 12): Estimate {
  const processes = Array.from({ length: count }, (_, i) => ratio * (1 + spread * Math.sin(i * 2.4) * 1.6));
  return { ratio, low: ratio * (1 - spread), high: ratio * (1 + spread), level: 0.99, processes };
}

const reasons: Readonly<Record<Verdict, string>> = {
  pass: 'the interval lies within 5 % of 1',
  regressed: 'both rounds put the low end of the interval beyond 1.05',
  improved: 'both rounds put the high end of the interval below 0.95',
  inconclusive: 'the first round said regressed, the second did not',
  contaminated: 'the base differed from itself by more than 5 %',
};

export function comparedTime(verdict: Verdict, ratio: number, given: Partial<ComparedTime> = {}): ComparedTime {
  const spread = verdict === 'inconclusive' ? 0.06 : 0.008;
  const overall = estimate(ratio, spread);
  const nullOverall = estimate(verdict === 'contaminated' ? 1.09 : 1.001, 0.006);
  return {
    name: 'queue/stores-8B/adjacent',
    title: 'sequential 8-byte stores, queued and merged',
    unit: 'ns/op',
    method: 'paired slices',
    delta: 0.02,
    verdict,
    reason: reasons[verdict],
    base: distribution(6.4),
    head: distribution(6.4 * ratio),
    rounds: [{ head: overall, null: nullOverall }],
    overall,
    nullOverall,
    ...given,
  };
}

export function comparedCount(given: Partial<ComparedCount> = {}): ComparedCount {
  const name = 'queue/stores-8B/adjacent';
  return { name, counter: 'storeBlocks', base: 8, head: 8, tolerance: 0, verdict: 'pass', ...given };
}

export function comparedInstructions(given: Partial<ComparedInstructions> = {}): ComparedInstructions {
  const name = 'queue/stores-8B/adjacent';
  return { name, base: 41.25, head: 41.5, tolerance: 0.01, verdict: 'pass', ...given };
}

export function compareReport(given: Partial<CompareReport> = {}): CompareReport {
  return {
    schema: 'ismio-compare/1',
    version: '0.1.0',
    started: '2026-03-01T12:34:56.789Z',
    seconds: 184.2,
    quick: true,
    seed: 20260301,
    options: { delta: 0.05, processes: 12, slices: 400, sliceMilliseconds: 1, level: 0.95 },
    base: { spec: 'main', kind: 'ref', version: '0.1.0', commit: '27064ee81c0ab3a4b14b80eb7e6f3ee34c1f11aa' },
    head: { spec: '.', kind: 'directory', version: '0.1.0', commit: '182e2b6f0a9d4f5e1fd2ac1a40e53a6b5c0c9e77-dirty' },
    environment,
    verdict: 'regressed',
    exitCode: 1,
    counters: [comparedCount()],
    instructions: [comparedInstructions()],
    times: [comparedTime('regressed', 1.081)],
    skipped: [],
    ...given,
  };
}

/** Texts that would be something else, if they were not written as what they are. */
export const hostile = [
  '</script><script>globalThis.broken = 1</script>',
  '<img src=x onerror="globalThis.broken = 2">',
  '"><svg onload=globalThis.broken=3>',
  "' onmouseover='globalThis.broken = 4",
  ']]> <!-- & &amp; &#x41; -->',
  '| a || b \\| c \\\\| d |',
  '`code` ``more`` **bold** _it_ ~~no~~ # not a heading',
  '[link](https://example.org) ![image](https://example.org/x.png) @somebody #1',
  'lines\r\nof\u2028text\u2029and\ttabs',
  'control \u0000 \u0007 \u001b[31m and half a pair \ud800 \ufffe',
  '__proto__',
  'right to left \u202e gnp.exe',
  'ünïcödé 漢字 🚀',
] as const;
