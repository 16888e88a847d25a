// What the page's script draws from.
import type { Report } from '../report.js';

/** One benchmark on one machine, over time. */
export interface Trend {
  readonly name: string;
  readonly unit: string;
  readonly machine: string;
  /** Of runs with --quick. */
  readonly quick: boolean;
  readonly points: readonly TrendPoint[];
}

export interface TrendPoint {
  readonly started: string;
  readonly commit: string | null;
  readonly median: number;
  /** The upper fence of what came before; null where that was too little. */
  readonly fence: number | null;
  readonly flagged: boolean;
}

export interface PageData {
  readonly report: Report | null;
  readonly trends: readonly Trend[];
}
