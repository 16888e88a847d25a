// Whether something is a document of results: docs/schema is the only description, for readers and for this.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OutputUnit, type Schema, Validator } from '@cfworker/json-schema';
import { IsmioError } from '../../src/support/errors.js';
import { packageRoot } from '../../src/support/package.js';
import { benchSchema, compareSchema, type Environment } from '../results.js';
import { isBench, type Report } from './report.js';

const files: Readonly<Record<string, string>> = {
  [benchSchema]: 'ismio-bench-1.json',
  [compareSchema]: 'ismio-compare-1.json',
};

/** Keywords that only pass on what a schema within them found. */
const passingOn = new Set(['properties', 'items', '$ref', 'anyOf', 'allOf', 'additionalProperties']);

const validators = new Map<string, Validator>();

/**
 * The document, if it is one.
 * @param path what to call it in the error
 */
export function checkReport(document: unknown, path: string): Report {
  const schema = (document as { schema?: unknown } | null)?.schema;
  if (typeof schema !== 'string' || !Object.hasOwn(files, schema)) {
    throw resultsError(path, `its schema is ${told(schema)}, not ${Object.keys(files).join(' or ')}`, { schema });
  }
  const infinite = notFinite(document, '');
  if (infinite !== null) throw resultsError(path, infinite, { schema });
  const { valid, errors } = validatorOf(schema).validate(document);
  if (!valid) throw resultsError(path, describe(deepest(errors), document), { schema });
  const report = document as Report;
  const twice = named(report);
  if (twice !== null) throw resultsError(path, `${twice} is there twice`, { schema });
  return report;
}

let environments: Validator | null = null;

/** Whether it is what results have as their environment: a line of a history has one as well. */
export function isEnvironment(value: unknown): value is Environment {
  if (environments === null) {
    environments = new Validator({ $ref: `${files[benchSchema]}#/$defs/environment` }, '2020-12', false);
    environments.addSchema(load(benchSchema));
  }
  return notFinite(value, '') === null && environments.validate(value).valid;
}

export function resultsError(path: string, what: string, values: Record<string, unknown> = {}): IsmioError {
  return new IsmioError('ERR_ISMIO_RESULTS', `${path} has no results that can be read: ${what}`, { path, ...values });
}

function validatorOf(schema: string): Validator {
  let validator = validators.get(schema);
  if (validator === undefined) {
    const [main, other] = schema === benchSchema ? [benchSchema, compareSchema] : [compareSchema, benchSchema];
    validator = new Validator(load(main), '2020-12', false);
    validator.addSchema(load(other));
    validators.set(schema, validator);
  }
  return validator;
}

function load(schema: string): Schema {
  return JSON.parse(readFileSync(join(packageRoot, 'docs', 'schema', files[schema] as string), 'utf8')) as Schema;
}

/** What is wrong and not merely around it. Where one of several forms fits, null is one: its complaint says nothing. */
function deepest(errors: readonly OutputUnit[]): OutputUnit {
  const depth = ({ instanceLocation }: OutputUnit) => instanceLocation.split('/').length;
  const telling = errors.filter(({ keyword }) => !passingOn.has(keyword));
  return [...telling].sort((a, b) => depth(b) - depth(a))[0] ?? (errors[0] as OutputUnit);
}

function describe({ instanceLocation, error }: OutputUnit, document: unknown): string {
  const steps = instanceLocation.split('/').slice(1).map(decodePointer);
  let value = document;
  for (const step of steps) value = (value as Record<string, unknown>)[step];
  const what = error.replace(/^Instance /, '').replace(/\.$/, '');
  // A document that lacks something is too long to be shown.
  return what.startsWith('does not have')
    ? `${place(steps)} ${what}`
    : `${place(steps)} is ${told(value)}, and ${what}`;
}

function decodePointer(step: string): string {
  return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
}

/** 'results[2].measured.median' */
function place(steps: readonly string[]): string {
  const path = steps.map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`)).join('');
  return path === '' ? 'the document' : path.replace(/^\./, '');
}

function told(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}..` : text;
}

/** JSON has no NaN and no Infinity: they would turn into null when written. */
function notFinite(value: unknown, path: string): string | null {
  if (typeof value === 'number' && !Number.isFinite(value)) return `${path} is ${value}`;
  if (value === null || typeof value !== 'object') return null;
  for (const [step, part] of Object.entries(value)) {
    const found = notFinite(
      part,
      Array.isArray(value) ? `${path}[${step}]` : `${path}${path === '' ? '' : '.'}${step}`,
    );
    if (found !== null) return found;
  }
  return null;
}

/** A name that stands for two results: one of them would be lost in formats that go by name. */
function named(report: Report): string | null {
  if (isBench(report)) return repeated(report.results.map(({ name }) => name));
  return (
    repeated(report.times.map(({ name }) => name)) ??
    repeated(report.instructions.map(({ name }) => name)) ??
    repeated(report.counters.map(({ name, counter }) => `${counter} of ${name}`))
  );
}

function repeated(names: readonly string[]): string | null {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) return JSON.stringify(name);
    seen.add(name);
  }
  return null;
}
