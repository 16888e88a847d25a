// The file of a history: lines of JSON that are appended and never changed.
//
// A run is one line, written by one call at the file's end, so that two writers do not mix theirs. A writer that is cut
// off leaves half a line. It stays where it is: the next one begins on a line of its own, and readers tell of it.
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { IsmioError } from '../../src/support/errors.js';
import { resultsError } from '../outputs/check.js';
import { type HistoryRecord, historySchema, keyOf, parseRecord } from './record.js';

export interface History {
  /** Each run once, the oldest first. */
  readonly records: readonly HistoryRecord[];
  /** Lines that were left out, and why: 'line 3 is no whole line of JSON'. */
  readonly ignored: readonly string[];
}

const newline = 0x0a;

export function readHistory(path: string): History {
  const history = parse(readText(path));
  if (history.records.length > 0) return history;
  throw resultsError(path, history.ignored[0] ?? `no line is of the schema ${historySchema}`);
}

function parse(text: string): History {
  const records = new Map<string, HistoryRecord>();
  const ignored: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const record = parseRecord(line);
    if (typeof record === 'string') ignored.push(`line ${index + 1} ${record}`);
    else if (records.has(keyOf(record))) ignored.push(`line ${index + 1} is a run that is there already`);
    else records.set(keyOf(record), record);
  }
  return { records: [...records.values()].sort(byTime), ignored };
}

/** Appends the run; false where it is there already. A file that is not there is made. */
export function appendRecord(path: string, record: HistoryRecord): boolean {
  if (has(path, record)) return false;
  try {
    append(path, `${JSON.stringify(record)}\n`);
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    const text = `cannot append to ${path}: ${code}; what was there still is, and a line that was begun is ignored`;
    throw new IsmioError('ERR_ISMIO_WRITE_FILE', text, { path, errno: code }, cause);
  }
  return true;
}

/** Whether the file has the run; throws where it is something else than a history. */
function has(path: string, record: HistoryRecord): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.size === 0 || !found.isFile()) return false;
  const text = readText(path);
  // A first line that was cut off has no record, but is a history all the same.
  const { records } = text.startsWith(`{"schema":"${historySchema}"`) ? parse(text) : readHistory(path);
  return records.some((other) => keyOf(other) === keyOf(record));
}

function append(path: string, line: string): void {
  const file = openSync(path, 'a+');
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'not a regular file' });
    const bytes = Buffer.from(`${endsWithin(file, found.size) ? '\n' : ''}${line}`);
    const written = writeSync(file, bytes);
    // The rest of a line that did not fit: the second attempt says why.
    if (written < bytes.length) writeSync(file, bytes, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Whether the file ends within a line. */
function endsWithin(file: number, size: number): boolean {
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] !== newline;
}

function readText(path: string): string {
  try {
    if (!statSync(path).isFile()) throw Object.assign(new Error('not a regular file'), { code: 'not a regular file' });
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new IsmioError('ERR_ISMIO_OPEN', `cannot read ${path}: ${code}`, { path, errno: code }, cause);
  }
}

function byTime(a: HistoryRecord, b: HistoryRecord): number {
  return Date.parse(a.started) - Date.parse(b.started);
}
