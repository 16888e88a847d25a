// The lock of a disk's file, byte for byte as QEMU has it (block/file-posix.c), so that each refuses what the other writes:
//
//   byte   | 100       101     103     | 201            203
//   says   | I read    I write I resize| no other writes no other resizes
//   reader |   #                       |   #              #
//   writer |   #         #             |   #              #
//
// All are shared locks: two that do not mind each other both have them. Who has taken its own looks whether another has what
// contradicts it; of two at a time at least one sees the other. Of what QEMU has besides (100 more: consistent reads, 102:
// writes that change nothing) no disk of ours makes use.
import { constants } from 'node:os';
import { native } from '../addon/binding.js';
import { IsmioError } from '../support/errors.js';
import { openError } from './disk.js';
import { nameOf } from './file-facts.js';

const [usesAt, refusesAt] = [100, 200];
const [reading, writing, resizing] = [0, 1, 3];

/** What is refused of others, whoever opens it: a reader that sees a disk change would see it torn. */
const refused = [writing, resizing];

const { EACCES, EAGAIN, EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP } = constants.errno;
/** A file system without locks, or a server of files that has none left. */
const noLocks = new Set([EINVAL, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP]);

/** How a file is opened. */
export interface LockedFile {
  readonly fd: number;
  readonly path: string;
  readonly writes: boolean;
}

/**
 * Locks an open file until it is closed, which the end of the process does as well. False: its file system has no locks.
 * @throws IsmioError ERR_ISMIO_IN_USE where somebody else has it open and one of the two writes it
 */
export async function lockFile({ fd, path, writes }: LockedFile): Promise<boolean> {
  const uses = writes ? [reading, writing] : [reading];
  const own = [...uses.map((what) => usesAt + what), ...refused.map((what) => refusesAt + what)];
  const others = [...uses.map((what) => refusesAt + what), ...refused.map((what) => usesAt + what)];
  const { lockShared, testLock } = native.space;
  for (const [call, bytes] of [
    [lockShared, own],
    [testLock, others],
  ] as const) {
    for (const byte of bytes) {
      const errno = await new Promise<number>((resolve) => call(fd, byte, 1, (_, answer) => resolve(answer)));
      if (errno === 0) continue;
      if (noLocks.has(errno)) return false;
      throw errno === EAGAIN || errno === EACCES ? inUse(path, writes, errno) : openError(path, nameOf(errno));
    }
  }
  return true;
}

function inUse(path: string, writes: boolean, errno: number): IsmioError {
  const text = writes
    ? `${path} is open in another program or disk, which reads or writes it: end that, or write by the server that has it`
    : `${path} is being written by another program or disk: end that, or read by the server that has it`;
  return new IsmioError('ERR_ISMIO_IN_USE', text, { path, errno: nameOf(errno) });
}
