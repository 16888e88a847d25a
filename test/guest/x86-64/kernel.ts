// The kernel of the x86-64 guest: Debian's newest in the backports to Debian 12, resolved when this runs.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../support/child.js';
import { kept } from '../support/cache.js';
import { copyModule, copyModules } from '../support/modules.js';
import { dependencies, fetchPackages, unpack } from '../support/packages.js';
import { run } from '../support/run.js';

/** Whose modules serve VFIO: Debian's as they are, with groups alone, or those built with iommufd, with groups and cdev. */
export type Modules = 'debian' | 'iommufd';

/** What every guest of this kernel starts with. */
export interface BareKernel {
  readonly release: string;
  /** The kernel as QEMU starts it soonest: unpacked. */
  readonly image: string;
  /** Debian's modules for 9p and VFIO; the file `order` says which to load for VFIO, first to last. */
  readonly debian: string;
  readonly busybox: string;
}

export interface Kernel extends BareKernel {
  /** Folders of modules, as that one. */
  readonly modules: Readonly<Record<Modules, string>>;
  /** The same of the kernel's own drivers for devices of the guest. */
  readonly drivers: string;
}

const suite = { suite: 'bookworm-backports', architecture: 'amd64' };
const plan9 = ['netfs', '9pnet', '9pnet_virtio', '9p'];
/** Whose work is compared with that of a driver on VFIO, and a file system for their disk. */
const ownDrivers = ['nvme', 'crc32c_generic', 'ext4'];
const vfio = ['vfio', 'vfio_iommu_type1', 'vfio-pci-core', 'vfio-pci'];

export async function kernel(): Promise<Kernel> {
  const bare = await bareKernel();
  const { release, debian } = bare;
  const drivers = await driversOf(release, ownDrivers);
  const iommufd = await kept(`iommufd-${release}`, (empty) => buildModules(release, debian, empty));
  return { ...bare, modules: { debian, iommufd }, drivers };
}

export async function bareKernel(): Promise<BareKernel> {
  const newest = await dependencies('linux-headers-amd64', suite);
  const release = newest.find((name) => /^linux-headers-\d/.test(name))?.replace('linux-headers-', '');
  if (release === undefined) throw new Error(`linux-headers-amd64 names no release: ${newest.join(' ')}`);
  const unpacked = await kept(`kernel-${release}`, (empty) => unpackKernel(release, empty));
  const busybox = await kept('busybox-amd64', async (empty) => {
    await unpack(await fetchPackages(['busybox-static'], { ...suite, suite: 'bookworm' }), empty);
  });
  return {
    release,
    image: join(unpacked, 'vmlinux'),
    debian: join(unpacked, 'modules'),
    busybox: join(busybox, 'bin', 'busybox'),
  };
}

/** A folder of Debian's drivers with all the modules that they need; `order` has each behind those that it needs itself. */
export function driversOf(release: string, names: readonly string[]): Promise<string> {
  return kept(`drivers-${release}-${names.join('-')}`, (empty) => unpackDrivers(release, names, empty));
}

/** The initramfs's modules: with them the guest reaches the host's folders. */
export function plan9Modules({ debian }: BareKernel): Record<string, string> {
  return Object.fromEntries(plan9.map((name) => [`/modules/${name}.ko`, join(debian, `${name}.ko`)]));
}

async function unpackKernel(release: string, into: string): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'ismio-guest-kernel-'));
  try {
    await unpack(await fetchPackages([`linux-image-${release}`], suite), place);
    await unpackImage(readFileSync(join(place, 'boot', `vmlinuz-${release}`)), place, join(into, 'vmlinux'));
    const modules = join(into, 'modules');
    mkdirSync(modules);
    for (const name of [...plan9, 'irqbypass', ...vfio])
      await copyModule(join(place, 'lib/modules', release), name, modules);
    writeOrder(modules, ['irqbypass', ...vfio]);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function unpackDrivers(release: string, names: readonly string[], into: string): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'ismio-guest-drivers-'));
  try {
    await unpack(await fetchPackages([`linux-image-${release}`], suite), place);
    writeOrder(into, await copyModules(join(place, 'lib/modules', release), names, into));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** The kernel inside of a bzImage: where it lies is in the header that Documentation/arch/x86/boot.rst describes. */
async function unpackImage(image: Buffer, place: string, output: string): Promise<void> {
  const sectors = image.readUInt8(0x1f1);
  const start = (sectors + 1) * 512 + image.readUInt32LE(0x248);
  // The last 4 bytes are the unpacked length.
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c) - 4);
  const packed = join(place, 'payload');
  writeFileSync(packed, payload);
  const zstd = payload.readUInt32LE(0) === 0xfd2fb528;
  await run('sh', ['-c', `exec ${zstd ? 'zstd' : 'xz'} --decompress --stdout "$0" >"$1"`, packed, output]);
}

async function buildModules(release: string, debian: string, into: string): Promise<void> {
  const version = release.split('.', 2).join('.');
  const headers = mkdtempSync(join(tmpdir(), 'ismio-guest-headers-'));
  try {
    const common = release.replace(/-amd64$/, '-common');
    const kbuild = release.replace(/-amd64$/, '');
    const names = [`linux-headers-${release}`, `linux-headers-${common}`, `linux-kbuild-${kbuild}`];
    await unpack(await fetchPackages([...names, `linux-source-${version}`], suite), headers);
    const script = join(packageRoot, 'test', 'guest', 'x86-64', 'modules.sh');
    await run(script, [headers, into]);
    copyFileSync(join(debian, 'irqbypass.ko'), join(into, 'irqbypass.ko'));
    writeOrder(into, ['irqbypass', 'iommufd', ...vfio]);
  } finally {
    rmSync(headers, { recursive: true, force: true });
  }
}

function writeOrder(modules: string, names: readonly string[]): void {
  writeFileSync(join(modules, 'order'), names.map((name) => `${name}\n`).join(''));
}
