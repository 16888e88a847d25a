// Results that were saved.
import { readFileSync } from 'node:fs';
import { IsmioError } from '../../src/support/errors.js';
import { type BenchReport, benchSchema } from '../results.js';
import { checkReport, resultsError } from './check.js';
import { isBench, type Report } from './report.js';

/** Results of either schema. */
export function readReport(path: string): Report {
  return checkReport(parse(readText(path), path), path);
}

/** Results of a run, not of a comparison. */
export function readBench(path: string): BenchReport {
  const report = readReport(path);
  if (isBench(report)) return report;
  const { schema } = report;
  throw resultsError(path, `its schema is "${schema}", and only ${benchSchema} will do here`, { schema });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new IsmioError('ERR_ISMIO_OPEN', `cannot read ${path}: ${code}`, { path, errno: code }, cause);
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw resultsError(path, `it is not JSON: ${(cause as Error).message}`);
  }
}
