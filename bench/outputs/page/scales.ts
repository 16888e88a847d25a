// Domains and ticks of axes. The usual ticks of a logarithmic axis leave most of a narrow range without a figure.

/** A domain that holds all of these, with a little room; of a logarithmic axis. */
export function logDomain(values: readonly number[], room = 1.05): [number, number] {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  if (positive.length === 0) return [0.5, 2];
  return [Math.min(...positive) / room, Math.max(...positive) * room];
}

/** Round numbers at even distances, not more than `most`. */
export function linearTicks(low: number, high: number, most: number): number[] {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

/** Round numbers for a logarithmic axis: even distances in a narrow range, 1, 2, 5, 10 in a wide one. */
export function logTicks(low: number, high: number, most: number): number[] {
  if (high / low < 4) return linearTicks(low, high, most);
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = decades(first, last, 1)
      .flatMap((decade) => digits.map((digit) => digit * decade))
      .filter(inside);
    if (ticks.length <= most) return ticks;
  }
  return decades(first, last, Math.ceil((last - first) / most)).filter(inside);

  function inside(tick: number): boolean {
    return tick >= low && tick <= high;
  }
}

function decades(first: number, last: number, step: number): number[] {
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => 10 ** (first + index * step));
}

/** Without zeros that say nothing: 0.95, 1, 1.05. */
export function plain(value: number): string {
  return String(Number(value.toPrecision(3)));
}
