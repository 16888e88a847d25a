// What is found out of a file before it is a disk: how long it is, whether it can have holes, what its reads have to be multiples of.
import { readFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { allocBuffer } from '../access/memory.js';
import { native } from '../addon/binding.js';
import { IsmioError, rangeError, systemError } from '../support/errors.js';
import { openError } from './disk.js';

/** What a hole is made of, in every filesystem that has any. */
export const blockBytes = 4096;
const sectorBytes = 512;

/** Of an errno as a number. */
export function nameOf(errno: number): string {
  return systemError(errno, 'fallocate').code;
}

/** What reads and writes have to be multiples of, found out by one. */
export async function alignmentOf(handle: Pick<FileHandle, 'read'>, path: string, size: number): Promise<number> {
  const alignment = [blockBytes, sectorBytes].find((bytes) => size % bytes === 0);
  if (alignment === undefined) {
    const text = `${path} cannot be opened direct: its ${size} bytes are no multiple of ${sectorBytes}`;
    throw rangeError('ERR_ISMIO_OPTION', text, { path, size });
  }
  if (size > 0) {
    await handle.read(allocBuffer(blockBytes), 0, alignment, 0).catch((error: unknown) => {
      throw noDirect(path, error);
    });
  }
  return alignment;
}

/** Of a file that cannot be read and written past the page cache. */
export function noDirect(path: string, cause: unknown): IsmioError {
  const { code = 'EINVAL' } = cause as NodeJS.ErrnoException;
  const text = `cannot open ${path} direct: ${code}: its file system has no O_DIRECT, or one of other blocks; leave it out`;
  return new IsmioError('ERR_ISMIO_OPEN', text, { path, errno: code }, cause);
}

export async function sizeOf(handle: FileHandle, path: string): Promise<number> {
  const stat = await handle.stat();
  if (stat.isFile()) return stat.size;
  if (!stat.isBlockDevice()) throw openError(path, stat.isDirectory() ? 'EISDIR' : 'ENOTBLK');
  const [major, minor] = deviceNumber(stat.rdev);
  return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
}

/** The kernel has what was written until it is on the medium, whoever wrote it: as long as it runs. */
export async function lifeOf(handle: FileHandle): Promise<string> {
  const { dev, ino } = await handle.stat();
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${dev} ${ino}`;
}

/** As glibc packs them. */
function deviceNumber(rdev: number): [major: number, minor: number] {
  const [high, low] = [Math.floor(rdev / 2 ** 32), rdev % 2 ** 32];
  return [((low >>> 8) & 0xfff) | (high & ~0xfff), (low & 0xff) | ((low >>> 12) & ~0xff)];
}

/** Tried behind the end, where nothing is lost. A block device answers there with EINVAL or ENOSPC, and then it can. */
export async function canPunch(handle: FileHandle, size: number): Promise<boolean> {
  const behind = Math.ceil(size / blockBytes) * blockBytes;
  const errno = await new Promise<number>((resolve) => {
    native.space.punch(handle.fd, behind, blockBytes, (_, answer) => resolve(answer));
  });
  return errno === 0 || !['ENOTSUP', 'EOPNOTSUPP', 'ENODEV', 'ENOSYS'].includes(nameOf(errno));
}
