// A key that both ends of a stream share. It never travels: each end shows by a keyed hash (HMAC-SHA-256, RFC 2104) over the
// protocol's name, both nonces, both GIDs and the name of what is asked for that it has it.
import { crypto } from '../../support/builtins.js';
import { rangeError, typeError } from '../../support/errors.js';
import { nonceBytes } from './messages.js';

/** The shortest key that is taken, in bytes. */
const shortestKey = 16;

/** @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE */
export function checkKey(key: unknown): Uint8Array | null {
  if (key === undefined) return null;
  const bytes = typeof key === 'string' ? Buffer.from(key) : key;
  if (!(bytes instanceof Uint8Array)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', 'key must be a string or a Uint8Array', {});
  }
  if (bytes.length < shortestKey) {
    throw rangeError('ERR_ISMIO_OPTION', `key must have at least ${shortestKey} bytes, not ${bytes.length}`, {});
  }
  return bytes;
}

export function newNonce(): Buffer {
  return crypto().randomBytes(nonceBytes);
}

/** What both ends of one hand-shake know. */
export interface Handshake {
  /** Its name and version. */
  readonly protocol: string;
  readonly clientNonce: Uint8Array;
  readonly serverNonce: Uint8Array;
  readonly clientGid: bigint;
  readonly serverGid: bigint;
  /** Of what is asked for; empty where there is none. */
  readonly name: string;
}

/** That this end has the key. The two ends say different things, so that neither can be answered with its own words. */
export function proofOf(key: Uint8Array, end: 'client' | 'server', shake: Handshake): Buffer {
  const gids = Buffer.alloc(16);
  gids.writeBigUInt64BE(shake.clientGid, 0);
  gids.writeBigUInt64BE(shake.serverGid, 8);
  const hash = crypto().createHmac('sha256', key);
  for (const part of [`${shake.protocol} ${end}\0`, shake.clientNonce, shake.serverNonce, gids, shake.name]) {
    hash.update(part);
  }
  return hash.digest();
}

/** In a time that tells nothing of where they differ. */
export function proves(given: Uint8Array, wanted: Uint8Array): boolean {
  return given.length === wanted.length && crypto().timingSafeEqual(given, wanted);
}
