// What the size of a terminal may be.
import { checkBetween, checkOptions } from '../support/check.js';
import type { TerminalSize } from './view.js';
import { broken } from './wire.js';

/** Columns and rows: more than any screen has, and no more than a terminal without one can keep. */
const most = 1000;
const mostPixels = 65_535;

/** The size that a peer says. @throws IsmioError ERR_ISMIO_CONSOLE */
export function sizeOf({ columns, rows, xPixels, yPixels }: TerminalSize): TerminalSize {
  if (columns > most || rows > most)
    throw broken(`a terminal of ${columns} columns and ${rows} rows`, { columns, rows });
  return { columns, rows, xPixels, yPixels };
}

/** The size that a program says. @throws RangeError ERR_ISMIO_OPTION */
export function checkSize(size: Partial<TerminalSize>): TerminalSize {
  checkOptions(size, ['columns', 'rows', 'xPixels', 'yPixels'], 'size');
  const { columns = 80, rows = 24, xPixels = 0, yPixels = 0 } = size;
  return {
    columns: checkBetween(columns, 'columns', 0, most),
    rows: checkBetween(rows, 'rows', 0, most),
    xPixels: checkBetween(xPixels, 'xPixels', 0, mostPixels),
    yPixels: checkBetween(yPixels, 'yPixels', 0, mostPixels),
  };
}
