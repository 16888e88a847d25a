// What opening an export can be told.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { checkSignal } from '../../../support/abort.js';
import { checkBetween, checkFlag, checkOptions, checkText } from '../../../support/check.js';
import { rangeError, typeError } from '../../../support/errors.js';
import { openError } from '../../disk.js';
import { type Address, addressOf, type NbdPlace } from './uri.js';

/** How the server is known, and what this end proves who it is with: PEM, as `node:tls` takes it. */
export interface NbdClientTls {
  /** Who may have signed the server's certificate. Default: those that Node.js knows. */
  readonly ca?: string | Buffer;
  /** A certificate of this end, where the server wants one. */
  readonly cert?: string | Buffer;
  /** Its key. */
  readonly key?: string | Buffer;
  /** The name that the server's certificate has to have. Default: the host; 'localhost' of a unix socket. */
  readonly hostname?: string;
}

/** What `openNbd` takes. */
export interface OpenNbdOptions {
  /** Nothing will be written. Default: as the server has it. */
  readonly readOnly?: boolean;
  /** Has the connection encrypted, as a URI that begins with nbds does. */
  readonly tls?: NbdClientTls;
  /** Milliseconds until the export is there. Default 30000. */
  readonly timeout?: number;
  /** Milliseconds for which the server may say nothing while it is waited for; 0 is for ever. Default 300000. */
  readonly silence?: number;
  /** Milliseconds that `close` waits for what is in flight. Default 2000. */
  readonly grace?: number;
  /** Closes it. */
  readonly signal?: AbortSignal;
}

export interface NbdOpening {
  readonly address: Address;
  readonly readOnly: boolean;
  readonly tls: NbdClientTls | null;
  readonly timeout: number;
  readonly silence: number;
  readonly grace: number;
  readonly signal: AbortSignal | undefined;
}

const names = ['readOnly', 'tls', 'timeout', 'silence', 'grace', 'signal'];
const longestTime = 2 ** 31 - 1;

/** @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE; IsmioError ERR_ISMIO_OPEN of a certificate's file */
export function checkOpenNbd(place: string | NbdPlace, options: OpenNbdOptions): NbdOpening {
  checkOptions(options, names, 'openNbd');
  const { readOnly = false, timeout = 30_000, silence = 300_000, grace = 2000 } = options;
  const address = addressOf(place);
  return {
    address,
    readOnly: checkFlag(readOnly, 'readOnly'),
    tls: tlsOf(address, options.tls),
    timeout: checkBetween(timeout, 'timeout', 1, longestTime),
    silence: checkBetween(silence, 'silence', 0, longestTime),
    grace: checkBetween(grace, 'grace', 0, 600_000),
    signal: checkSignal(options.signal, 'openNbd'),
  };
}

/** Null where nothing is encrypted. */
function tlsOf({ tls: isSecured, certificates, hostname }: Address, given?: NbdClientTls): NbdClientTls | null {
  if (given !== undefined) checkOptions(given, ['ca', 'cert', 'key', 'hostname'], 'tls');
  else if (!isSecured) return null;
  const tls: NbdClientTls = {
    ...(certificates !== null && readFolder(certificates)),
    ...(hostname !== null && { hostname }),
    ...given,
  };
  for (const [name, value] of Object.entries({ ca: tls.ca, cert: tls.cert, key: tls.key })) {
    if (value === undefined || typeof value === 'string' || Buffer.isBuffer(value)) continue;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `tls.${name} must be PEM, as a string or a Buffer`, { option: name });
  }
  if (tls.hostname !== undefined) checkText(tls.hostname, 'tls.hostname');
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw rangeError('ERR_ISMIO_OPTION', 'tls takes a certificate with its key: cert and key');
  }
  try {
    createSecureContext(tls);
  } catch (error) {
    throw rangeError('ERR_ISMIO_OPTION', `tls cannot be used: ${(error as Error).message}`);
  }
  return tls;
}

/** The names are libnbd's. The client's own may be missing, and the authority then is one that Node.js knows. */
function readFolder(folder: string): NbdClientTls {
  const [ca, cert, key] = ['ca-cert', 'client-cert', 'client-key'].map((name) =>
    readIfThere(join(folder, `${name}.pem`)),
  );
  if (ca === undefined && cert === undefined) throw openError(join(folder, 'ca-cert.pem'), 'ENOENT');
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw openError(path, code, error);
  }
}
