// Numbers as `ismio compare` takes them.
import { InvalidArgumentError } from 'commander';

/** A share between 0 and 1, such as 0.02; or in percent, such as 2%. */
export function parseShare(text: string): number {
  const [, digits, sign] = /^([0-9.]+)(%?)$/.exec(text) ?? [];
  const share = Number(digits) / (sign === '%' ? 100 : 1);
  if (share > 0 && share < 1) return share;
  throw new InvalidArgumentError('It has to be a share above 0 and below 1, such as 0.02 or 2%.');
}
