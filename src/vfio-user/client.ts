// openVfioUser: a device in another process, over a socket.
import { checkBetween, checkFlag, checkOptions, checkPath, checkText } from '../support/check.js';
import { VfioDevice } from '../vfio/device.js';
import { VfioUserAccess } from './access.js';
import { Connection } from './connection.js';
import { negotiate } from './version.js';

/** How `openVfioUser` opens a device. */
export interface VfioUserOptions {
  /** How long a reply may take, in milliseconds, before the server is taken for lost. Default 5000. */
  timeout?: number;
  /**
   * Whether stores are posted: no reply is waited for, as on a PCI bus. They arrive in their order and before any load behind
   * them; one that the device refuses is not told. Default false: every store is answered, and of a batch many are on their way
   * together.
   */
  posted?: boolean;
  /** What messages call the device. Default: the path. */
  name?: string;
}

/** Some 24 days: what a timer takes. */
const mostMilliseconds = 2 ** 31 - 1;

/**
 * Opens the device that a server of vfio-user has at a socket: `serve` of ismio/device, or any other. It does not keep the
 * process running; interrupts that are enabled do.
 * @throws IsmioError ERR_ISMIO_VFIO_USER where nobody listens or the versions do not fit, ERR_ISMIO_DEVICE_BUSY,
 * ERR_ISMIO_VFIO
 */
export function openVfioUser(path: string | URL, options: VfioUserOptions = {}): VfioDevice {
  checkOptions(options, ['timeout', 'posted', 'name'], 'openVfioUser');
  const socket = checkPath(path, 'path');
  const timeout = checkBetween(options.timeout ?? 5000, 'timeout', 1, mostMilliseconds);
  const posted = checkFlag(options.posted ?? false, 'posted');
  const name = checkText(options.name ?? socket, 'name');
  const connection = new Connection(socket, timeout);
  try {
    const access = new VfioUserAccess(connection, negotiate(connection), posted);
    return new VfioDevice(access, name, access.ids());
  } catch (error) {
    connection.close();
    throw error;
  }
}
