// One line of a history: a run, with what its trend needs of it.
import { isEnvironment } from '../outputs/check.js';
import type { BenchReport, Environment } from '../results.js';

export const historySchema = 'ismio-history/1';

export interface HistoryResult {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly mad: number;
}

export interface HistoryRecord {
  readonly schema: typeof historySchema;
  readonly machine: string;
  readonly commit: string | null;
  readonly started: string;
  readonly version: string;
  readonly quick: boolean;
  readonly environment: Environment;
  readonly results: readonly HistoryResult[];
}

export function recordOf({ environment, commit, started, version, quick, results }: BenchReport): HistoryRecord {
  return {
    schema: historySchema,
    machine: environment.machine,
    commit,
    started,
    version,
    quick,
    environment,
    results: results.map(({ name, unit, measured: { median, mad } }) => ({ name, unit, median, mad })),
  };
}

/** What makes a run the same as another. */
export function keyOf({ machine, commit, started }: HistoryRecord): string {
  return JSON.stringify([machine, commit, started]);
}

/** The record that a line holds, or why it holds none. */
export function parseRecord(line: string): HistoryRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'is no whole line of JSON';
  }
  const { schema } = (value ?? {}) as { schema?: unknown };
  if (schema !== historySchema) return `is of the schema ${JSON.stringify(schema) ?? 'none'}, not ${historySchema}`;
  return isRecord(value as Record<string, unknown>) ? (value as HistoryRecord) : 'lacks a part of a run';
}

function isRecord({
  machine,
  commit,
  started,
  version,
  quick,
  environment,
  results,
}: Record<string, unknown>): boolean {
  return (
    typeof machine === 'string' &&
    (commit === null || typeof commit === 'string') &&
    typeof started === 'string' &&
    !Number.isNaN(Date.parse(started)) &&
    typeof version === 'string' &&
    typeof quick === 'boolean' &&
    isEnvironment(environment) &&
    Array.isArray(results) &&
    results.every(isResult)
  );
}

function isResult(result: unknown): boolean {
  const { name, unit, median, mad } = (result ?? {}) as Record<string, unknown>;
  return typeof name === 'string' && typeof unit === 'string' && Number.isFinite(median) && Number.isFinite(mad);
}
