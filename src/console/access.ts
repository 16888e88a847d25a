// Who may do what at a console: by GID, which the fabric vouches for, and by a key that both ends share. The key never travels:
// each end shows by a keyed hash (HMAC-SHA-256, RFC 2104) over both nonces, both GIDs and the name that it has it.
import { crypto } from '../support/builtins.js';
import { checkOptions } from '../support/check.js';
import { rangeError, typeError } from '../support/errors.js';
import { nonceBytes } from './wire.js';

/** Who may attach. */
export interface ConsoleAccess {
  /** GIDs that may write. Default: all that may attach. */
  readonly write?: readonly bigint[];
  /** GIDs that may attach at all. Default: every function of the fabric. */
  readonly view?: readonly bigint[];
}

export type Permission = 'none' | 'view' | 'write';

/** @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE */
export function checkAccess(access: ConsoleAccess): ConsoleAccess {
  checkOptions(access, ['write', 'view'], 'access');
  for (const [name, gids] of Object.entries(access)) {
    if (gids !== undefined && !(Array.isArray(gids) && gids.every((gid) => typeof gid === 'bigint'))) {
      throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `access.${name} must be an array of GIDs, each a bigint`, {
        [name]: gids,
      });
    }
  }
  return access;
}

export function permissionOf({ write, view }: ConsoleAccess, gid: bigint): Permission {
  const mayWrite = write === undefined || write.includes(gid);
  if (view !== undefined && !view.includes(gid)) return write?.includes(gid) === true ? 'write' : 'none';
  return mayWrite ? 'write' : 'view';
}

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
  readonly clientNonce: Uint8Array;
  readonly serverNonce: Uint8Array;
  readonly clientGid: bigint;
  readonly serverGid: bigint;
  /** Of the console; empty where the list is asked for. */
  readonly name: string;
}

/** That this end has the key. The two ends say different things, so that neither can be answered with its own words. */
export function proofOf(key: Uint8Array, end: 'client' | 'server', shake: Handshake): Buffer {
  const gids = Buffer.alloc(16);
  gids.writeBigUInt64BE(shake.clientGid, 0);
  gids.writeBigUInt64BE(shake.serverGid, 8);
  const hash = crypto().createHmac('sha256', key);
  for (const part of [`ismio console 1 ${end}\0`, shake.clientNonce, shake.serverNonce, gids, shake.name]) {
    hash.update(part);
  }
  return hash.digest();
}

/** Which client of a function this is, as it says itself. */
export interface Attachment {
  readonly gid: bigint;
  readonly attachment: Uint8Array;
}

/** Whether both are streams of one client: only that client, and whoever runs the fabric, knows the number that it made up. */
export function isSameClient(one: Attachment, other: Attachment): boolean {
  const isNamed = one.attachment.some((byte) => byte !== 0);
  return isNamed && one.gid === other.gid && proves(one.attachment, other.attachment);
}

/** In a time that tells nothing of where they differ. */
export function proves(given: Uint8Array, wanted: Uint8Array): boolean {
  return given.length === wanted.length && crypto().timingSafeEqual(given, wanted);
}
