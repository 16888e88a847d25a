// The demo's results as a table and bars, for a terminal of 80 columns or more.
import Table from 'cli-table3';
import type { PartReport } from './parts.js';
import type { Way } from './ways.js';

/** A bar's last cell is filled in eighths. */
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** No lines around the cells: seven columns have to fit 80. */
export const onlyColumns = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ mid: '', 'mid-mid': '', 'left-mid': '', 'right-mid': '' },
  ...{ left: '  ', middle: '   ', right: '' },
};

export function drawWays(ways: readonly Way[], columns: number): string {
  const width = Math.max(...ways.map(({ name }) => name.length));
  const indent = ' '.repeat(width + 4);
  return ways
    .map(({ name, explanation }) => {
      const lines = wrapped(explanation, columns - indent.length).replaceAll('\n', `\n${indent}`);
      return `  ${name.padEnd(width)}  ${lines}`;
    })
    .join('\n');
}

export function drawTable({ outcomes }: PartReport): string {
  const table = new Table({
    head: ['way', 'operations', 'bytes/op', 'time', 'MB/s', 'ratio', 'SHA-256'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'left'],
    chars: onlyColumns,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const { way, operations, bytesPerOperation, seconds, megabytesPerSecond, ratio, verified } of outcomes) {
    table.push([
      way,
      whole(operations),
      rounded(bytesPerOperation),
      time(seconds),
      rounded(megabytesPerSecond),
      `${rounded(ratio)}x`,
      verified ? 'equal' : 'DIFFERS',
    ]);
  }
  return table.toString();
}

export function drawChart({ outcomes }: PartReport, columns: number): string {
  const labelled = outcomes.map(({ way, megabytesPerSecond }) => ({
    way,
    speed: megabytesPerSecond,
    label: `${rounded(megabytesPerSecond)} MB/s`,
  }));
  const nameWidth = Math.max(...labelled.map(({ way }) => way.length));
  const labelWidth = Math.max(...labelled.map(({ label }) => label.length));
  const room = Math.max(10, columns - nameWidth - labelWidth - 6);
  const largest = Math.max(...labelled.map(({ speed }) => speed));
  return labelled
    .map(({ way, speed, label }) => `  ${way.padEnd(nameWidth)}  ${bar((speed / largest) * room)} ${label}`)
    .join('\n');
}

/** At least an eighth of a cell, so that there is something to see. */
function bar(cells: number): string {
  const filled = Math.max(1, Math.round(cells * 8));
  return '█'.repeat(Math.floor(filled / 8)) + (eighths[filled % 8] as string);
}

/** Breaks a text between its words. */
export function wrapped(text: string, columns: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1] as string;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= columns) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

export function whole(number: number): string {
  return Math.round(number).toLocaleString('en');
}

/** Three figures are as much as such a measurement can tell. */
function rounded(number: number): string {
  return number >= 100 ? whole(number) : number.toPrecision(number >= 10 ? 3 : 2);
}

function time(seconds: number): string {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  return seconds >= 0.001 ? `${(seconds * 1e3).toFixed(1)} ms` : `${(seconds * 1e6).toFixed(0)} us`;
}
