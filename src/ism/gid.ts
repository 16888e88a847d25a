// Global identifiers: what ISM functions call each other.
import { rangeError, shown, typeError } from '../support/errors.js';

/** @throws TypeError ERR_ISMIO_ARGUMENT_TYPE, RangeError ERR_ISMIO_OPTION */
export function checkGid(gid: unknown, what: string): bigint {
  if (typeof gid !== 'bigint') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `${what} must be a bigint, not ${shown(gid)}`, { [what]: gid });
  }
  if (gid > 0n && gid < 2n ** 64n) return gid;
  throw rangeError('ERR_ISMIO_OPTION', `${what} must be from 1n to 2n ** 64n - 1n, not ${shown(gid)}`, { [what]: gid });
}
