// ismio block copy: a disk to another, with what is sparse as it was.
import { closeSync, ftruncateSync, openSync, rmSync, type Stats, statSync } from 'node:fs';
import { Command } from 'commander';
import type { BlockDevice } from 'ismio/block';
import { IsmioError, isIsmioError } from '../support/errors.js';
import { checkUnused, type DiskOptions, isNbdUri, openDisk } from './disks.js';
import { usageError } from './failure.js';
import { signalled } from './lasting.js';
import { note, print, printJson } from './output.js';
import { Progress } from './progress.js';

interface CopyCommandOptions {
  force?: boolean;
  oDirect?: boolean;
  json?: boolean;
}

/** Where a copy goes. */
interface Target {
  readonly disk: BlockDevice;
  /** It was made for this copy, or emptied. */
  readonly isZero: boolean;
  /** What it had is overwritten. */
  readonly wasThere: boolean;
  /** Takes back what was made. */
  remove(): void;
}

const notes = `
TARGET is made where there is none: as long as the source, and with its holes. One that exists is overwritten with --force
alone; a file then gets the length of the source, and of a block device or an export the rest stays as it is. What an NBD server
exports is named by its URI: nbd://HOST:PORT/NAME, nbd+unix:///NAME?socket=PATH, and nbds for TLS (?tls-certificates=FOLDER). A
copy that fails, or is ended by SIGINT, takes away the file that it has made.

Examples:
  ismio block copy disk.img copy.img
  ismio block copy disk.img /dev/nvme0n1p3 --force --o-direct
  ismio block copy nbd://host.example/disk copy.img`;

export function copyCommand(): Command {
  return new Command('copy')
    .description('copy a disk: data as data, holes as holes')
    .argument('<source>', 'a file, a block device, or a URI of NBD')
    .argument('<target>', 'a file, made where there is none, a block device, or a URI of NBD')
    .option('--force', 'overwrite what is there')
    .option('--o-direct', 'files and block devices past the page cache (O_DIRECT)')
    .option('--json', 'print JSON')
    .addHelpText('after', notes)
    .action(copy);
}

async function copy(
  from: string,
  to: string,
  { force = false, oDirect = false, json }: CopyCommandOptions,
): Promise<void> {
  if ([from, to].some((name) => name.startsWith('memory:'))) {
    throw usageError('a disk in memory goes with the command: copy files, block devices, and exports of NBD servers');
  }
  const { copyDisk } = await import('ismio/block');
  const signal = signalled();
  let left = '';
  if (oDirect && isNbdUri(from) && isNbdUri(to)) throw usageError('--o-direct is for files and block devices');
  const options = (place: string) => ({ signal, oDirect: oDirect && !isNbdUri(place) });
  try {
    const source = await openDisk(from, { ...options(from), readOnly: true });
    try {
      const target = await openTarget(to, from, source, force, options(to));
      try {
        using bar = new Progress('copying', source.size);
        const result = await copyDisk(source, target.disk, {
          targetIsZero: target.isZero,
          signal,
          progress: (done) => bar.at(done),
        });
        tell(from, to, result, json === true);
      } catch (error) {
        if (target.wasThere) left = `${to} has a part of it, and what it had before is gone`;
        target.remove();
        throw error;
      } finally {
        await target.disk.close();
      }
    } finally {
      await source.close();
    }
  } catch (error) {
    // Of a server that does not answer, the signal closes the disk, which then is what fails.
    if (!signal.aborted) {
      if (left !== '') note(left);
      throw error;
    }
    const text = `the copy of ${from} was aborted${left === '' ? '' : `; ${left}`}`;
    throw new IsmioError('ERR_ISMIO_ABORTED', text, {}, error);
  }
}

function tell(
  source: string,
  target: string,
  { size, data, zeros }: { size: number; data: number; zeros: number },
  json: boolean,
) {
  if (json) printJson({ source, target, size, data, zeros });
  else print(`copied ${size} bytes of ${source} to ${target}: ${data} of data, ${zeros} of zeros`);
}

async function openTarget(
  path: string,
  from: string,
  source: BlockDevice,
  force: boolean,
  options: DiskOptions,
): Promise<Target> {
  if (isNbdUri(path)) return openExport(path, source, force, options);
  const there = statSync(path, { throwIfNoEntry: false });
  if (there !== undefined) checkOverwrite(path, there, isNbdUri(from) ? null : statSync(from), force);
  const remove = there === undefined ? () => rmSync(path, { force: true }) : () => undefined;
  // Its lock is held until it is emptied: a disk that somebody opens meanwhile is none that gets shorter.
  const before = there?.isFile() === true ? await openAsItIs(path, options) : null;
  try {
    if (there === undefined || there.isFile()) resize(path, source.size, there === undefined ? 'wx' : 'w', remove);
  } finally {
    await before?.close();
  }
  try {
    const disk = await openDisk(path, options);
    return { disk, isZero: there?.isFile() !== false, wasThere: there !== undefined, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Whether a file can be opened as it will be, before anything of it is lost. What is wrong with its size will be right. */
async function openAsItIs(path: string, options: DiskOptions): Promise<BlockDevice> {
  try {
    return await openDisk(path, options);
  } catch (error) {
    if (!isIsmioError(error, 'ERR_ISMIO_OPTION')) throw error;
    return await openDisk(path, { ...options, oDirect: false });
  }
}

/** It is there, as a block device is: what it has is overwritten. */
async function openExport(uri: string, source: BlockDevice, force: boolean, options: DiskOptions): Promise<Target> {
  if (!force) throw openError(uri, 'EEXIST', '; --force overwrites what a server exports');
  const disk = await openDisk(uri, options);
  try {
    if (disk.name === source.name) throw usageError(`${uri} is the source`);
    if (disk.readOnly) throw openError(uri, 'EROFS', '; its server exports it for reads alone');
    return { disk, isZero: false, wasThere: true, remove: () => undefined };
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** @param source null of what is no file and no block device */
function checkOverwrite(path: string, there: Stats, source: Stats | null, force: boolean): void {
  const isSame = there.isBlockDevice()
    ? there.rdev === source?.rdev && source.isBlockDevice()
    : there.ino === source?.ino && there.dev === source.dev;
  if (isSame) throw usageError(`${path} is the source`);
  if (there.isDirectory()) throw openError(path, 'EISDIR', ': it is a folder');
  if (!there.isFile() && !there.isBlockDevice()) {
    throw openError(path, 'ENOTBLK', ': it is neither a file nor a block device');
  }
  if (!force) throw openError(path, 'EEXIST', '; --force overwrites it');
  if (there.isBlockDevice()) checkUnused(path);
}

/** An empty file of that length: all of it is a hole. */
function resize(path: string, size: number, flags: 'wx' | 'w', remove: () => void): void {
  let file: number | undefined;
  try {
    file = openSync(path, flags);
    ftruncateSync(file, size);
  } catch (error) {
    if (file !== undefined) remove();
    throw openError(path, (error as NodeJS.ErrnoException).code, '', error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function openError(path: string, code = 'unknown error', advice = '', cause?: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_OPEN', `cannot open ${path}: ${code}${advice}`, { path, errno: code }, cause);
}
