// How a disk of another function is opened.
import type { Ism } from '../../ism/driver/ism.js';
import { checkGid } from '../../ism/gid.js';
import { IsmDisk } from './initiator.js';
import { checkOpen, type OpenBlockOptions } from './options.js';

/**
 * Opens the disk that a function serves.
 * @param ism a driver, or what opens one: then the disk goes on when the fabric went and came back
 * @throws IsmioError ERR_ISMIO_BLOCK where the target refuses, with `reason` 'denied', 'key', 'busy', 'version' or 'full'; what
 * `ism.connect` throws; ERR_ISMIO_ABORTED
 */
export async function openBlock(
  ism: Ism | (() => Promise<Ism>),
  gid: bigint,
  options: OpenBlockOptions = {},
): Promise<IsmDisk> {
  const reopens = typeof ism === 'function';
  const disk = new IsmDisk(
    reopens ? ism : () => Promise.resolve(ism),
    reopens,
    checkGid(gid, 'gid'),
    checkOpen(options),
  );
  return disk.begin();
}
