// Errors on their way between threads. structuredClone keeps of an error its message and stack, and loses its code, its values
// and its class; one property that cannot be cloned, and it refuses all of it. So what an error has goes beside it, as traits,
// in the same message: clones in a message know each other, so causes, lists and circles arrive as they were.
import { types } from 'node:util';
import { Queue } from '../queue/queue.js';
import { Region } from '../region/region.js';
import { IsmioError, isAnswer, isIsmioError, markMistake, shown } from '../support/errors.js';

const classes = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError };

type ClassName = keyof typeof classes | 'IsmioError';

/** What an error has besides being one. */
interface Traits {
  readonly class: ClassName;
  /** Whether it is a RangeError or TypeError of this package. */
  readonly mistake: boolean;
  /** Non-enumerable on errors of the language. */
  readonly hidden: Readonly<Record<string, unknown>>;
  readonly values: Readonly<Record<string, unknown>>;
}

/** A value, and the traits of each error that it has or is. */
export interface Crossing {
  readonly value: unknown;
  readonly errors: readonly (readonly [error: Error, traits: Traits])[];
}

/** A value that was thrown, made such that it can be cloned: what cannot be is told as text. */
export function packed(thrown: unknown): Crossing {
  const errors: [Error, Traits][] = [];
  const value = carried(thrown, new Map(), errors);
  return { value, errors };
}

/**
 * What a function has returned: structuredClone decides whether it can cross. Errors in it keep what they have.
 * @throws TypeError for a Region or Queue, of which structuredClone would make an object without methods
 */
export function packedResult(value: unknown): Crossing {
  if (isError(value)) return packed(value);
  const errors: [Error, Traits][] = [];
  for (const part of reachable(value)) {
    if (isOfThread(part)) throw new TypeError(`${shown(part)} belongs to the thread that made it`);
    if (types.isNativeError(part)) errors.push([part, traitsOf(part, inPlace)]);
  }
  return { value, errors };
}

/** Whether it is a Region or Queue, or has one in it. */
export function hasOfThread(value: unknown): boolean {
  for (const part of reachable(value)) if (isOfThread(part)) return true;
  return false;
}

function isOfThread(value: unknown): boolean {
  return value instanceof Region || value instanceof Queue;
}

/** An error in a result is there in the message already, as a part of it. */
function inPlace(value: unknown): unknown {
  return types.isNativeError(value) ? value : cloneable(value);
}

/** Objects in lists, maps, sets and plain objects, and the causes of errors. */
function* reachable(value: unknown): Generator<object> {
  const seen = new Set<object>();
  const ahead = [value];
  while (ahead.length > 0) {
    const one = ahead.pop();
    if (one === null || typeof one !== 'object' || seen.has(one)) continue;
    seen.add(one);
    yield one;
    for (const part of partsOf(one)) if (part !== null && typeof part === 'object') ahead.push(part);
  }
}

function partsOf(value: object): Iterable<unknown> {
  if (types.isProxy(value)) return [];
  if (Array.isArray(value) || types.isSet(value)) return value;
  if (types.isMap(value)) return [...value.keys(), ...value.values()];
  if (types.isNativeError(value)) return [value.cause];
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return [];
  // Getters are not called: structuredClone does that, once.
  return Object.values(Object.getOwnPropertyDescriptors(value)).map((property) => property.value);
}

/** The value, on the other side: errors get their class and values back. */
export function unpacked({ value, errors }: Crossing): unknown {
  for (const [error, traits] of errors) {
    Object.setPrototypeOf(
      error,
      traits.class === 'IsmioError' ? IsmioError.prototype : classes[traits.class].prototype,
    );
    for (const [name, hidden] of Object.entries(traits.hidden)) {
      Object.defineProperty(error, name, { value: hidden, writable: true, configurable: true });
    }
    Object.assign(error, traits.values);
    if (traits.mistake) markMistake(error);
  }
  return value;
}

/** The longest list of an error that is gone through for errors in it. */
const longestList = 10_000;

function carried(value: unknown, known: Map<object, unknown>, errors: [Error, Traits][]): unknown {
  if (value === null || typeof value !== 'object' || types.isProxy(value)) return cloneable(value);
  const already = known.get(value);
  if (already !== undefined) return already;
  if (isError(value)) {
    const shell = new Error();
    known.set(value, shell);
    errors.push([shell, traitsOf(value, (part) => carried(part, known, errors))]);
    return shell;
  }
  if (Array.isArray(value) && value.length <= longestList && value.some(isError)) {
    const list: unknown[] = [];
    known.set(value, list);
    for (const one of value) list.push(carried(one, known, errors));
    return list;
  }
  return cloneable(value);
}

function isError(value: unknown): value is Error {
  return types.isNativeError(value) || (!types.isProxy(value) && value instanceof Error);
}

/** Of languages and libraries alike: these are looked at even where they are not enumerable, or come from a prototype. */
const hiddenNames = ['name', 'message', 'stack', 'cause', 'errors'];

function traitsOf(error: Error, carry: (value: unknown) => unknown): Traits {
  const hidden: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  for (const name of hiddenNames) {
    const value = read(error, name);
    if (value !== undefined || (name === 'cause' && Object.hasOwn(error, name))) hidden[name] = carry(value);
  }
  for (const name of ['code', ...keysOf(error)]) {
    if (name in hidden) continue;
    const value = read(error, name);
    if (value !== undefined) values[name] = carry(value);
  }
  return { class: classOf(error), mistake: isIsmioError(error) && !isAnswer(error), hidden, values };
}

function classOf(error: Error): ClassName {
  if (isAnswer(error)) return 'IsmioError';
  for (let prototype: object | null = error; prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const name = read(prototype as Error, 'constructor') as { name?: unknown } | undefined;
    if (typeof name?.name === 'string' && Object.hasOwn(classes, name.name)) return name.name as ClassName;
  }
  return 'Error';
}

function read(error: Error, name: string): unknown {
  try {
    return (error as unknown as Record<string, unknown>)[name];
  } catch (thrown) {
    return `(reading it threw: ${shown(thrown)})`;
  }
}

function keysOf(error: Error): string[] {
  try {
    return Object.keys(error);
  } catch {
    return [];
  }
}

/** The value, or the text that stands for it. */
function cloneable(value: unknown): unknown {
  if (typeof value === 'symbol') return value.toString();
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`;
  if (value === null || typeof value !== 'object') return value;
  try {
    structuredClone(value);
    return value;
  } catch {
    return shown(value);
  }
}
