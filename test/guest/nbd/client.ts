// nbd-client, which gives the kernel's nbd its sockets: Debian's, with its libraries, in a folder of its own.
import { join } from 'node:path';
import { kept } from '../support/cache.js';
import { fetchPackages, unpack } from '../support/packages.js';

export interface Client {
  readonly program: string;
  /** For LD_LIBRARY_PATH. */
  readonly libraries: string;
}

export async function nbdClient(): Promise<Client> {
  const names = ['nbd-client', 'libnl-3-200', 'libnl-genl-3-200'];
  const folder = await kept('nbd-client-amd64', async (empty) => {
    await unpack(await fetchPackages(names, { suite: 'bookworm', architecture: 'amd64' }), empty);
  });
  return { program: join(folder, 'sbin', 'nbd-client'), libraries: join(folder, 'lib', 'x86_64-linux-gnu') };
}
