// A disk, as the command line names it: a file, a block device, memory, or what an NBD server exports.
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { BlockDevice, FileDisk, NbdTls } from 'ismio/block';
import { IsmioError, isIsmioError } from '../support/errors.js';
import { fileError, usageError } from './failure.js';
import { parseWhole } from './numbers.js';
import { note } from './output.js';

export interface DiskOptions {
  readonly readOnly?: boolean;
  /** Past the page cache. */
  readonly oDirect?: boolean;
  /** What is written is kept apart: in memory, or in a file without a name in that folder. */
  readonly snapshot?: boolean;
  readonly snapshotIn?: string;
  /** Ends the wait for an NBD server, and what it is asked for. */
  readonly signal?: AbortSignal;
}

/** Whether it begins as a URI of NBD does: a file of such a name is ./NAME. */
export function isNbdUri(target: string): boolean {
  return /^nbds?(\+unix)?:/i.test(target);
}

export function addDiskOptions(command: Command): Command {
  return command
    .option('--snapshot', 'keep what is written in memory, and the disk as it is')
    .option('--snapshot-in <folder>', 'the same, in a sparse file there, which goes with the command')
    .option('--o-direct', 'past the page cache (O_DIRECT)');
}

/** @param target a path, memory:SIZE, or a URI of NBD */
export async function openDisk(target: string, options: DiskOptions): Promise<BlockDevice> {
  const { memoryDisk, openFileDisk, openNbd, overlayDisk } = await import('ismio/block');
  const { readOnly = false, oDirect: direct = false, snapshot = false, snapshotIn: folder, signal } = options;
  const isSnapshot = snapshot || folder !== undefined;
  if (snapshot && folder !== undefined) {
    throw usageError(`--snapshot keeps what is written in memory, and --snapshot-in in ${folder}: one of them`);
  }
  if (isSnapshot && readOnly) throw usageError('a snapshot is for writes: leave out --read-only or --snapshot');
  const [, size] = /^memory:(.*)$/s.exec(target) ?? [];
  if (size !== undefined) {
    if (isSnapshot || direct)
      throw usageError(`${isSnapshot ? '--snapshot' : '--o-direct'} is for files and block devices`);
    return memoryDisk({ size: parseSize(size), name: target });
  }
  const opening = { readOnly: readOnly || isSnapshot };
  const isNbd = isNbdUri(target);
  if (isNbd && direct) throw usageError('--o-direct is for files and block devices');
  const disk = isNbd
    ? await openNbd(target, { ...opening, ...(signal !== undefined && { signal }) })
    : told(await openFileDisk(target, { ...opening, direct }));
  if (!isSnapshot) return disk;
  try {
    // The command ends with its disk, and the file below with the command.
    return await overlayDisk(disk, folder === undefined ? {} : { folder });
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** A file that nobody else is kept from writing is served all the same, as QEMU does, but not without a word. */
function told(disk: FileDisk): FileDisk {
  if (!disk.locked) note(`${disk.name} is not locked, for its file system has no locks: let nobody else write it`);
  return disk;
}

/** @throws IsmioError ERR_ISMIO_OPEN where somebody has the block device for itself: EBUSY where it is mounted */
export function checkUnused(path: string): void {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_EXCL));
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw new IsmioError('ERR_ISMIO_OPEN', `cannot open ${path}: ${code}`, { path, errno: code }, cause);
  }
}

function parseSize(text: string): bigint {
  try {
    return parseWhole(text);
  } catch (error) {
    throw usageError(`memory:SIZE takes a size, not '${text}': ${(error as Error).message}`);
  }
}

export interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

export function addTlsOptions(command: Command): Command {
  return command
    .option('--tls-cert <file>', 'a certificate (PEM): clients have to use TLS')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'clients need a certificate that one of these has signed');
}

/** Of an option that a server was given, the file that it is from; other errors as they are. */
export function withTlsFile(error: unknown, { tlsCert: cert, tlsKey: key, tlsCa: ca }: TlsOptions): unknown {
  if (!isIsmioError(error, 'ERR_ISMIO_OPTION')) return error;
  const path = { cert, key, ca }[String(error['option'])];
  return path === undefined ? error : usageError(`${path}: ${error.message}`);
}

/** Undefined where no TLS is asked for. */
export function readTls({ tlsCert, tlsKey, tlsCa }: TlsOptions): NbdTls | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) throw usageError('TLS takes --tls-cert FILE and --tls-key FILE');
  return { cert: read(tlsCert), key: read(tlsKey), ...(tlsCa !== undefined && { ca: read(tlsCa) }) };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}
