// Numbers as people read them. The script of the HTML report uses these as well: nothing here is Node.js' own.
import type { BenchResult } from '../results.js';
import type { Target } from '../workload.js';

/** Digits that count, where nothing asks for more. */
const usual = 3;

/** Three digits that count, and no exponent before that saves anything: 0.0123, 1.23, 12.3, 1,234. */
export function figure(value: number, digits = usual): string {
  const size = Math.abs(value);
  if (size >= 1e12 || (size > 0 && size < 1e-4)) return value.toExponential(digits - 1);
  return rounded(value, digits).toLocaleString('en', { maximumSignificantDigits: 21, useGrouping: size >= 1000 });
}

/** To this many digits, but never in front of the point: 1,234 stays what it is. */
function rounded(value: number, digits: number): number {
  return Math.abs(value) >= 10 ** (digits - 1) ? Math.round(value) : Number(value.toPrecision(digits));
}

/**
 * So many digits that the figure, as it is shown, lies on the side of each limit that the value lies on: 0.9498 is not shown as
 * 0.95 where 0.95 is what it has missed.
 * @param round what is shown of a value with so many digits
 */
export function digitsBeside(value: number, limits: readonly number[], least = usual, round = rounded): number {
  const tells = (digits: number): boolean =>
    limits.every((limit) => Math.sign(round(value, digits) - limit) === Math.sign(value - limit));
  let digits = least;
  while (digits < 17 && !tells(digits)) digits++; // of 17 digits a number is the number itself
  return digits;
}

/** What a target aims at; none where there is no target. */
export function limitsOf(target: Target | null | undefined): number[] {
  if (target === null || target === undefined) return [];
  return ['atLeast' in target ? target.atLeast : target.atMost];
}

const timeSteps = [
  { unit: 's', nanoseconds: 1e9 },
  { unit: 'ms', nanoseconds: 1e6 },
  { unit: 'µs', nanoseconds: 1e3 },
] as const;

/** '12.3 ns', '4.56 µs'. */
export function duration(nanoseconds: number, digits = 3): string {
  const step = timeSteps.find((step) => Math.abs(nanoseconds) >= step.nanoseconds);
  if (step === undefined) return `${figure(nanoseconds, digits)} ns`;
  return `${figure(nanoseconds / step.nanoseconds, digits)} ${step.unit}`;
}

/** A value of a result, in the unit it says. Times of one operation are scaled. */
export function quantity(value: number, unit: string, digits = 3): string {
  if (unit === 'ns/op') return duration(value, digits);
  if (unit === 'ms') return duration(value * 1e6, digits);
  return `${figure(value, digits)} ${unit}`;
}

/** How many times faster: '5.42x'; with as many digits as show whether it is as much as was aimed at. */
export function times(ratio: number, target: Target | null = null): string {
  return `${figure(ratio, digitsBeside(ratio, limitsOf(target)))}x`;
}

/** The median of a result; where that is what its target is for, with as many digits as show whether it is reached. */
export function median({ unit, measured, target }: BenchResult): string {
  const limits = unit === 'ns/op' ? [] : limitsOf(target);
  return quantity(measured.median, unit, digitsBeside(measured.median, limits));
}

/** A ratio of two builds: differences of a part in a thousand can be read. */
export function ratio(value: number): string {
  return value >= 10 ? figure(value) : value.toFixed(3);
}

/** A ratio as a change: '+1.2 %', '-20 %', '+/-0 %'. */
export function change(ratio: number): string {
  const percent = (ratio - 1) * 100;
  const rounded = Math.abs(percent) >= 10 ? Math.round(percent) : Number(percent.toFixed(1));
  if (rounded === 0) return '±0 %';
  return `${rounded > 0 ? '+' : '−'}${Math.abs(rounded).toLocaleString('en')} %`;
}

/** Counts are exact: every digit is shown. */
export function exact(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 3 });
}

/** '1 benchmark', '2 benchmarks'. */
export function counted(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}

/** The day and the minute of an ISO time. */
export function minute(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** Enough of a commit to find it, and whether files had changed. */
export function shortCommit(commit: string | null): string | null {
  if (commit === null) return null;
  const dirty = commit.endsWith('-dirty') ? '-dirty' : '';
  return commit.slice(0, 12).replace(/-.*$/, '') + dirty;
}
