// The report as one HTML file that needs nothing else, and the results beside it.
import { checkReport } from './check.js';
import { benchPage } from './html/bench.js';
import { comparePage } from './html/compare.js';
import type { Other } from './html/environment.js';
import { drawPage, type Page } from './html/page.js';
import { json } from './json.js';
import { isBench, type Report } from './report.js';
import { type NamedText, writeFolder } from './write.js';

/**
 * Writes index.html and results.json into the directory, which it makes.
 * @param other the document whose environment is shown beside this one's
 * @returns the paths of both files
 */
export function writeReport(report: Report, directory: string, other: Other | null = null): string[] {
  checkReport(report, 'the report');
  const page = isBench(report) ? benchPage(report, other) : comparePage(report, other);
  return writePage(page, directory, [{ name: 'results.json', text: json(report) }]);
}

/** Writes a page as index.html, and files beside it; their paths. */
export function writePage(page: Page, directory: string, beside: readonly NamedText[]): string[] {
  return writeFolder(directory, [{ name: 'index.html', text: drawPage(page) }, ...beside]);
}
