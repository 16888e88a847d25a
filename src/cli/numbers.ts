// Numbers as they are typed: 4096, 0x1000, 4K.
import { InvalidArgumentError } from 'commander';

const suffixes = ['', 'K', 'M', 'G', 'T'];

/**
 * A whole number, exact whatever its size: whether it fits is for its user to say.
 * @throws InvalidArgumentError, which commander tells with the name of the argument
 */
export function parseWhole(text: string): bigint {
  const match = /^(0x[0-9a-f]+|[0-9]+)([KMGT]?)$/i.exec(text);
  if (match === null) {
    throw new InvalidArgumentError('It has to be a whole number, such as 4096, 0x1000 or 4K (K, M, G, T: times 1024).');
  }
  const [, digits = '', suffix = ''] = match;
  return BigInt(digits) << BigInt(10 * suffixes.indexOf(suffix.toUpperCase()));
}

/** A whole number that is small enough to count with. */
export function parseCount(text: string): number {
  const whole = parseWhole(text);
  if (whole > BigInt(Number.MAX_SAFE_INTEGER)) throw new InvalidArgumentError('It has to be below 2^53.');
  return Number(whole);
}
