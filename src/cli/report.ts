// ismio report: saved results in another form.
import { Command, Option } from 'commander';
import { usageError } from './failure.js';
import { print, printPart } from './output.js';

/** As in bench/outputs/index.ts, which is loaded only when it is needed; html comes on top. */
const formats = ['html', 'json', 'bencher', 'smaller-is-better', 'junit', 'markdown'] as const;

type Format = (typeof formats)[number];

interface ReportOptions {
  format: Format;
  out?: string;
  against?: string;
}

const examples = `
Formats:
  html               a folder with index.html, which needs no network, and results.json
  json               the results as they are, checked
  bencher            Bencher Metric Format
  smaller-is-better  customSmallerIsBetter of github-action-benchmark
  junit              JUnit XML: regressed is a failure; inconclusive and contaminated are skipped
  markdown           a summary, the verdict first

Examples:
  ismio report results.json --out report
  ismio report results.json --format junit --out junit.xml
  ismio report results.json --format markdown >> "$GITHUB_STEP_SUMMARY"`;

export function reportCommand(): Command {
  return new Command('report')
    .summary('turn saved results into a report')
    .description('turn results that ismio bench or ismio compare has saved into a report or another format')
    .argument('<results>', 'a file that --json has written')
    .addOption(new Option('--format <format>', 'what to make of them').choices(formats).default('html'))
    .option('--out <path>', 'the folder of html, or a file; without it, other formats are printed')
    .option('--against <results>', 'show the environment of these results beside, in html')
    .addHelpText('after', examples)
    .action(report);
}

async function report(path: string, { format, out, against }: ReportOptions): Promise<void> {
  if (format === 'html') return writeHtml(path, out, against);
  if (against !== undefined) throw usageError('--against is for the format html alone');
  const { readReport } = await import('../../bench/outputs/read.js');
  const { render } = await import('../../bench/outputs/index.js');
  const text = render(format, readReport(path));
  if (out === undefined) return printPart(text);
  const { writeWhole } = await import('../../bench/outputs/write.js');
  writeWhole(out, text);
  print(`wrote ${out}`);
}

async function writeHtml(path: string, out: string | undefined, against: string | undefined): Promise<void> {
  if (out === undefined) throw usageError('html needs a folder: --out FOLDER');
  const { readReport } = await import('../../bench/outputs/read.js');
  const { writeReport } = await import('../../bench/outputs/html.js');
  const other = against === undefined ? null : { title: against, environment: readReport(against).environment };
  for (const file of writeReport(readReport(path), out, other)) print(`wrote ${file}`);
}
