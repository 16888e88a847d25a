// Who may do what at a console, by GID, which the fabric vouches for. (By key: ../ism/talk/key.ts.)
import { proves } from '../ism/talk/key.js';
import { checkOptions } from '../support/check.js';
import { typeError } from '../support/errors.js';

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
