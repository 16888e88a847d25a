// Numbers as `ismio compare` takes them.
import { InvalidArgumentError } from 'commander';

/** A share between 0 and 1, such as 0.02; or in percent, such as 2%. */
export function parseShare(text: string): number {
  const share = shareIn(text);
  if (share > 0 && share < 1) return share;
  throw new InvalidArgumentError('It has to be a share above 0 and below 1, such as 0.02 or 2%.');
}

/** A share, or nothing at all: 0, however that is written. */
export function parseTolerance(text: string): number {
  const share = shareIn(text);
  if (share >= 0 && share < 1) return share;
  throw new InvalidArgumentError('It has to be a share from 0 on and below 1, such as 0, 0.02 or 2%.');
}

/** NaN where it is none. */
function shareIn(text: string): number {
  const [, digits, sign] = /^([0-9.]+)(%?)$/.exec(text) ?? [];
  return Number(digits) / (sign === '%' ? 100 : 1);
}
