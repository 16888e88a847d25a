// Where a server listens. A unix socket has its rights before anybody can find it: it is made in a folder that nobody else
// enters, and moved.
import { chmodSync, existsSync, lstatSync, mkdtempSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, type ListenOptions, type Server } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { IsmioError, rangeError } from '../../support/errors.js';

export type Place =
  | { readonly path: string; readonly mode: number }
  | { readonly port: number; readonly host: string }
  | { readonly fd: number };

export interface Listening {
  /** The path, or what the system says of the port. Null of a unix socket that somebody else has made, and will take away. */
  readonly address: string | AddressInfo | null;
  /** Takes the name away. */
  release(): void;
}

/** sockaddr_un.sun_path of Linux, less its NUL. */
const longestPath = 107;

/** @throws IsmioError ERR_ISMIO_OPEN, ERR_ISMIO_IN_USE where somebody listens there */
export async function listenAt(server: Server, place: Place): Promise<Listening> {
  if ('path' in place) return listenAtPath(server, resolve(place.path), place.mode);
  if ('fd' in place) {
    await listening(server, place, `descriptor ${place.fd}`);
    return { address: server.address(), release: () => undefined };
  }
  const { port, host } = place;
  await listening(server, { port, host }, `${host}:${port}`);
  return { address: server.address() as AddressInfo, release: () => undefined };
}

async function listenAtPath(server: Server, path: string, mode: number): Promise<Listening> {
  const length = Buffer.byteLength(path);
  if (length > longestPath) {
    throw rangeError('ERR_ISMIO_OPTION', `path must be at most ${longestPath} bytes, not ${length}: ${path}`, { path });
  }
  await checkFree(path);
  const folder = folderBeside(path);
  const made = join(folder, 's');
  try {
    await listening(server, { path: made }, path);
    chmodSync(made, mode);
    renameSync(made, path);
  } catch (error) {
    server.close();
    throw error instanceof IsmioError ? error : openError(path, error);
  } finally {
    rmSync(made, { force: true });
    rmdirSync(folder);
  }
  const { ino } = lstatSync(path);
  const release = () => {
    // Another server may have taken the name meanwhile.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
  };
  return { address: path, release };
}

function folderBeside(path: string): string {
  try {
    return mkdtempSync(join(dirname(path), '.n'));
  } catch (error) {
    throw openError(path, error);
  }
}

/** A socket that nobody listens to is in nobody's way; anything else is. */
async function checkFree(path: string): Promise<void> {
  if (!existsSync(path)) return;
  if (!lstatSync(path).isSocket())
    throw openError(path, { code: 'EEXIST' }, ': what is there is no socket; take another path');
  const code = await new Promise<string>((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve('EADDRINUSE');
    });
    socket.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) => resolve(code));
  });
  if (code === 'EADDRINUSE') throw inUse(path);
  if (code !== 'ECONNREFUSED' && code !== 'ENOENT') throw openError(path, { code });
}

function listening(server: Server, options: ListenOptions | { readonly fd: number }, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      reject(openError(where, error));
    };
    server.once('error', failed);
    server.listen(options, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

function openError(where: string, cause: unknown, advice = ''): IsmioError {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return inUse(where, cause);
  return new IsmioError(
    'ERR_ISMIO_OPEN',
    `cannot listen at ${where}: ${code}${advice}`,
    { path: where, errno: code },
    cause,
  );
}

function inUse(path: string, cause?: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_IN_USE', `somebody listens at ${path}`, { path, errno: 'EADDRINUSE' }, cause);
}
