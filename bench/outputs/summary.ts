// The summary of a job on GitHub, and on those who do it likewise: a file that steps append Markdown to.
import { appendFileSync } from 'node:fs';
import { IsmioError } from '../../src/support/errors.js';
import { render } from './index.js';
import type { Report } from './report.js';

/** Appends the report to the file that $GITHUB_STEP_SUMMARY names; false where it names none. */
export function summarize(report: Report, path = process.env['GITHUB_STEP_SUMMARY']): boolean {
  if (path === undefined || path === '') return false;
  try {
    appendFileSync(path, render('markdown', report));
  } catch (cause) {
    if (cause instanceof IsmioError) throw cause;
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    const text = `cannot append to ${path}, which GITHUB_STEP_SUMMARY names: ${code}`;
    throw new IsmioError('ERR_ISMIO_WRITE_FILE', text, { path, errno: code }, cause);
  }
  return true;
}
