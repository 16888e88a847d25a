// What is said of an NBD server that cannot be used, or not any more.
import { IsmioError } from '../../../support/errors.js';
import { harmless } from '../../../support/text.js';

/** Why, in a word that does not change. */
export type NbdReason = 'unreachable' | 'tls' | 'refused' | 'protocol' | 'timeout' | 'lost';

const errnos: Readonly<Record<NbdReason, string>> = {
  unreachable: 'EIO',
  tls: 'EIO',
  refused: 'EIO',
  protocol: 'EPROTO',
  timeout: 'ETIMEDOUT',
  lost: 'EIO',
};

/** @param text what happened, behind the name of the disk; words of the server are made harmless */
export function nbdError(disk: string, reason: NbdReason, text: string, cause?: unknown): IsmioError {
  const { code } = (cause ?? {}) as { code?: unknown };
  const system = typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
  const values = { disk, reason, errno: system ?? errnos[reason] };
  return new IsmioError('ERR_ISMIO_NBD', harmless(`${disk}: ${text}`), values, cause);
}
