// TLS of a connection, from STARTTLS on: a server of node:tls for each, which is given the socket that the client came by.
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { crypto } from '../../support/builtins.js';
import { checkOptions } from '../../support/check.js';
import { rangeError, typeError } from '../../support/errors.js';

/** What a server proves who it is with: PEM, as `node:tls` takes it. */
export interface NbdTls {
  /** Its certificate, and those that lead to one that clients know. */
  readonly cert: string | Buffer;
  /** The key of the certificate. */
  readonly key: string | Buffer;
  /** Clients need a certificate that one of these has signed. Default: they need none. */
  readonly ca?: string | Buffer;
}

/** Milliseconds for the handshake. */
const handshakeTime = 30_000;

/** @throws TypeError ERR_ISMIO_ARGUMENT_TYPE; RangeError ERR_ISMIO_OPTION of what is no certificate, or not its key */
export function checkTls(tls: NbdTls): NbdTls {
  checkOptions(tls, ['cert', 'key', 'ca'], 'tls');
  const { cert, key, ca } = tls;
  for (const [name, value] of Object.entries({ cert, key, ...(ca === undefined ? {} : { ca }) })) {
    if (typeof value === 'string' || Buffer.isBuffer(value)) continue;
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `tls.${name} must be PEM, as a string or a Buffer`, { option: name });
  }
  checkUse('cert', 'is no certificate that can be used', () => createSecureContext({ cert }));
  checkUse('key', 'is no key that can be used', () => createSecureContext({ key }));
  checkUse('key', 'is not the key of tls.cert', () => createSecureContext({ cert, key }));
  // Of what is no certificate nothing would be taken, and nobody let in.
  if (ca !== undefined) checkUse('ca', 'is no certificate that can be used', () => new (crypto().X509Certificate)(ca));
  return tls;
}

function checkUse(option: keyof NbdTls, otherwise: string, use: () => unknown): void {
  try {
    use();
  } catch (error) {
    const text = `tls.${option} ${otherwise}: ${(error as Error).message}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { option });
  }
}

/** Who is told how it went. */
export interface TlsTakers {
  /** What the client says lies there, decrypted, and what is written there is encrypted. */
  begun(socket: Socket): void;
  /** It came to nothing; the socket is of no use any more. */
  failed(reason: string): void;
}

/** Begins at once: the next byte of the socket is the client's first of TLS. */
export function encrypted(socket: Socket, tls: NbdTls, { begun, failed }: TlsTakers): void {
  const server = createServer({
    ...tls,
    requestCert: tls.ca !== undefined,
    rejectUnauthorized: tls.ca !== undefined,
    handshakeTimeout: handshakeTime,
    allowHalfOpen: true,
  });
  server.on('tlsClientError', ({ message, code = message }: NodeJS.ErrnoException) => failed(code));
  // A certificate that is not accepted closes the socket, and nothing else. Before whoever hears of that otherwise.
  const left = () => failed('the client was not let in, or left');
  socket.prependOnceListener('close', left);
  server.on('secureConnection', (secured: TLSSocket) => {
    socket.off('close', left);
    begun(secured);
  });
  server.emit('connection', socket);
}
