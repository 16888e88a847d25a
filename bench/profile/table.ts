// The profile as `ismio profile` prints it.
import Table from 'cli-table3';
import { duration, figure } from '../outputs/figures.js';
import { type ProfileReport, stageNames } from './report.js';

const barWidth = 40;
const eighths = ' ▏▎▍▌▋▊▉█';

/** A bar as long as its share, to an eighth of a column. */
function bar(share: number): string {
  const filled = Math.max(0, Math.min(1, share)) * barWidth;
  const rest = eighths[Math.round((filled % 1) * 8)] as string;
  return `${'█'.repeat(Math.floor(filled))}${rest.trim()}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function profileTable(report: ProfileReport): string {
  const { workload, stages, elsewhere, stamps, plain, timed, cost } = report;
  const rows: [string, number][] = [...stageNames.map((name): [string, number] => [name, stages[name]])];
  rows.push(['elsewhere', elsewhere]);
  const whole = rows.reduce((sum, [, nanoseconds]) => sum + nanoseconds, 0);
  const table = new Table({
    head: ['stage', 'ns/op', 'share', ''],
    colAligns: ['left', 'right', 'right', 'left'],
    colWidths: [14, 12, 10, barWidth + 2],
    style: { head: [], border: [], compact: true },
  });
  for (const [name, nanoseconds] of rows) {
    const share = whole === 0 ? 0 : nanoseconds / whole;
    table.push([name, figure(nanoseconds), percent(share), bar(share)]);
  }
  const overlap =
    elsewhere === 0 && whole > timed * 1.05 ? '; threads overlap, so the stages are longer than the wall time' : '';
  return [
    `${workload.name}: ${workload.title}`,
    `${workload.operations.toLocaleString('en')} operations and ${workload.bytes.toLocaleString('en')} bytes in a batch`,
    table.toString(),
    `wall time: ${figure(plain)} ns/op, ${figure(timed)} with stages timed (${signed(cost)}); stamps: ${figure(stamps)} ns/op of the above${overlap}`,
    latencyLines(report),
  ].join('\n');
}

function signed(share: number): string {
  return `${share < 0 ? '-' : '+'}${percent(Math.abs(share))}`;
}

/** Percentiles as bars on a scale of powers of two, which a tail needs. */
function latencyLines({ latency }: ProfileReport): string {
  const { batches, min, mean, max, percentiles } = latency;
  const rows = Object.entries({ min, ...percentiles, max });
  const doublings = Math.max(1, Math.log2(max / min));
  const lines = rows.map(([name, nanoseconds]) => {
    const length = bar((Math.log2(nanoseconds / min) + doublings / 20) / (doublings * 1.05));
    return `  ${name.padEnd(7)}${duration(nanoseconds).padStart(10)}  ${length}`;
  });
  const title = `one batch, ${batches.toLocaleString('en')} of them, mean ${duration(mean)}; bars on a logarithmic scale`;
  return [title, ...lines].join('\n');
}
