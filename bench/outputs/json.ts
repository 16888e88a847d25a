// The results as they are: docs/results.md describes them.
import type { Report } from './report.js';

export function json(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
