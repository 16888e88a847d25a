// Where results go besides the screen: the options of bench and compare for that, and the writing.
import { type Command, Option } from 'commander';
import type { Report } from '../../bench/outputs/report.js';
import { usageError } from './failure.js';

/** As in bench/outputs/index.ts, which is loaded only when it is needed. */
const formats = ['json', 'bencher', 'smaller-is-better', 'junit', 'markdown'] as const;

export interface ResultOptions {
  /** true: to print it instead of anything else. */
  json?: string | true;
  report?: string;
  format?: (typeof formats)[number];
  out?: string;
}

export function addResultOptions(command: Command): Command {
  return command
    .option('--json [file]', 'print JSON, or write it to a file')
    .option('--report <directory>', 'write a report for a browser there')
    .addOption(new Option('--format <format>', 'write the results in another form to --out').choices(formats))
    .option('--out <file>', 'the file for --format');
}

/**
 * Writes what was asked for, and the summary of a job where GITHUB_STEP_SUMMARY names a file for it; the files written.
 * @param show prints the report: after the files, which must not be lost with a reader of stdout that has gone, and also when
 *   one of them cannot be written
 */
export type WriteResults = (report: Report, show: () => void) => Promise<string[]>;

/** Looks whether everything that is asked for can be written: before minutes of measuring, not after them. */
export async function prepareResults(options: ResultOptions): Promise<WriteResults> {
  const { json, report: directory, format, out } = options;
  if ((format === undefined) !== (out === undefined)) throw usageError('--format and --out belong together');
  const { checkFolder, checkWritable, writeWhole } = await import('../../bench/outputs/write.js');
  for (const file of [json, out]) if (typeof file === 'string') checkWritable(file);
  if (directory !== undefined) checkFolder(directory);
  const { render } = await import('../../bench/outputs/index.js');
  const { writeReport } = await import('../../bench/outputs/html.js');
  const { summarize } = await import('../../bench/outputs/summary.js');
  return async (report, show) => {
    const written: string[] = [];
    const write = (path: string, text: string): void => {
      writeWhole(path, text);
      written.push(path);
    };
    try {
      if (typeof json === 'string') write(json, render('json', report));
      if (format !== undefined && out !== undefined) write(out, render(format, report));
      if (directory !== undefined) written.push(...writeReport(report, directory));
      summarize(report);
    } finally {
      show();
    }
    return written;
  };
}
