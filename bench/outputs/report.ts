// What can be shown: results of a run, or of a comparison.
import { type BenchReport, benchSchema, type CompareReport } from '../results.js';

export type Report = BenchReport | CompareReport;

export function isBench(report: Report): report is BenchReport {
  return report.schema === benchSchema;
}
