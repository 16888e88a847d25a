// A QEMU that has a client of vfio-user (11.1 or later): Debian's newest, in a folder of its own with all that it needs.
import { basename, join } from 'node:path';
import { kept } from './cache.js';
import { fetchPackages, unpack } from './packages.js';

export interface Qemu {
  readonly version: string;
  /** Where it lies, with its C library. */
  readonly folder: string;
  /** The words that start it: its own dynamic loader, because its C library is newer than the machine's. */
  readonly program: readonly string[];
}

/** Debian's package of each machine, and the program in it. */
const programs = { s390x: 'qemu-system-s390x', 'x86-64': 'qemu-system-x86' } as const;
const binaries = { s390x: 'qemu-system-s390x', 'x86-64': 'qemu-system-x86_64' } as const;

export async function newestQemu(machine: keyof typeof programs): Promise<Qemu> {
  if (process.arch !== 'x64') throw new Error(`the guests run under a QEMU for x64, which is no ${process.arch}`);
  const name = programs[machine];
  const host = { suite: 'sid', architecture: 'amd64', dependencies: true };
  const packages = await fetchPackages([name], host);
  const own = packages.find((path) => basename(path).startsWith(`${name}_`));
  if (own === undefined) throw new Error(`apt named no ${name} among ${packages.length} packages`);
  const version = versionOf(own);
  const folder = await kept(`${name}-${version}`, (empty) => unpack(packages, empty));
  const usr = join(folder, 'usr');
  const libraries = join(usr, 'lib', 'x86_64-linux-gnu');
  const loader = [join(usr, 'lib64', 'ld-linux-x86-64.so.2'), '--library-path', libraries];
  const data = [join(usr, 'share', 'qemu'), join(usr, 'share', 'seabios')].flatMap((path) => ['-L', path]);
  return { version, folder, program: [...loader, join(usr, 'bin', binaries[machine]), ...data] };
}

/** Without its epoch: a colon would divide a list of folders. */
function versionOf(path: string): string {
  return decodeURIComponent(basename(path)).replace(/^[^_]*_(\d+:)?([^_]*)_.*$/, '$2');
}
