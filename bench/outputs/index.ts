// The formats that results can be had in.
import { bencher } from './bencher.js';
import { checkReport } from './check.js';
import { json } from './json.js';
import { junit } from './junit.js';
import { markdown } from './markdown.js';
import type { Report } from './report.js';
import { smallerIsBetter } from './smaller-is-better.js';

const renderers = { json, bencher, 'smaller-is-better': smallerIsBetter, junit, markdown } as const;

export type Format = keyof typeof renderers;

export const formats = Object.keys(renderers) as readonly Format[];

/** The results as the text of a file. What the schema does not allow, such as a NaN, is refused in every format. */
export function render(format: Format, report: Report): string {
  return renderers[format](checkReport(report, 'the report'));
}

export type { Report } from './report.js';
