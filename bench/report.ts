// The table that npm run bench prints.
import Table from 'cli-table3';
import type { Measured } from './compare.js';
import type { Row } from './main.js';
import type { Scenario } from './scenario.js';

function figure(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return unit === 'x' ? `${value.toFixed(digits)}x` : `${value.toFixed(digits)} ${unit}`;
}

function target({ target }: Scenario): string {
  if ('atLeast' in target) return `>= ${target.atLeast}`;
  return 'atMost' in target ? `< ${target.atMost}` : `= ${target.exactly}`;
}

function time(measured: Measured | undefined): string {
  if (measured === undefined) return '';
  return `${measured.ns.toFixed(1)} ns ±${measured.mad.toFixed(1)} (${measured.samples})`;
}

export function table(rows: readonly Row[], environment: Record<string, unknown>): string {
  const head = [
    'subject, against its floor',
    'measured',
    'target',
    '',
    'subject per op',
    'floor per op',
    'issued',
    'notes',
  ];
  const drawn = new Table({
    head,
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [44, 13, 8, 4, 24, 25, 9, 34],
  });
  for (const { scenario, outcome, reached } of rows) {
    drawn.push([
      `${scenario.subject}\nagainst ${scenario.floor}`,
      figure(outcome.value, outcome.unit),
      target(scenario),
      reached ? 'ok' : 'NO',
      time(outcome.comparison?.subject),
      time(outcome.comparison?.floor),
      outcome.issued?.toLocaleString('en') ?? '',
      outcome.note ?? '',
    ]);
  }
  const where = Object.entries(environment).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const legend =
    'Times are medians for one operation ± median absolute deviation over the rounds (batches timed). Ratios are\n' +
    'medians over rounds in which subject and floor took turns. Issued: device operations of one batch.';
  return `${drawn.toString()}\n${legend}\n${where.join(', ')}\n`;
}
