// What the s390x guest is made of: Debian's newest kernel with ism-vfio-pci built for it. Resolved when this runs, kept in the
// cache by version.
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../support/child.js';
import { kept } from '../support/cache.js';
import { dependencies, fetchPackages, unpack } from '../support/packages.js';
import { run } from '../support/run.js';

export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** Modules as the guest loads them, first to last. */
  readonly modules: readonly string[];
  readonly busybox: string;
}

const suite = 'sid';
const guest = { suite, architecture: 's390x' };
const host = { suite, architecture: 'amd64' };

const vfio = ['irqbypass', 'vfio', 'vfio_iommu_type1', 'vfio-pci-core', 'vfio-pci'];

export async function kernel(qemuFolder: string): Promise<Kernel> {
  const newest = await dependencies('linux-headers-s390x', guest);
  const release = newest.find((name) => /^linux-headers-\d/.test(name))?.replace('linux-headers-', '');
  if (release === undefined) throw new Error(`linux-headers-s390x names no release: ${newest.join(' ')}`);
  const unpacked = await kept(`kernel-${release}`, (empty) => unpackKernel(release, empty));
  const ism = await kept(`ism-vfio-pci-${release}`, (empty) => buildIsm(release, qemuFolder, empty));
  return {
    release,
    image: join(unpacked, 'vmlinuz'),
    modules: [...vfio.map((name) => join(unpacked, `${name}.ko`)), join(ism, 'ism-vfio-pci.ko')],
    busybox: join(unpacked, 'busybox'),
  };
}

async function unpackKernel(release: string, into: string): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'ismio-guest-kernel-'));
  try {
    const names = [`linux-binary-${release}`, `linux-modules-${release}`, 'busybox-static'];
    await unpack(await fetchPackages(names, guest), place);
    const folder = join(place, 'usr', 'lib', 'modules', release);
    copyFileSync(join(folder, 'vmlinuz'), join(into, 'vmlinuz'));
    copyFileSync(join(place, 'usr', 'bin', 'busybox'), join(into, 'busybox'));
    const all = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    for (const name of vfio) {
      const path = all.find((one) => one.endsWith(`/${name}.ko.xz`));
      if (path === undefined) throw new Error(`the kernel ${release} has no module ${name}`);
      copyFileSync(join(folder, path), join(into, `${name}.ko.xz`));
      await run('xz', ['--decompress', join(into, `${name}.ko.xz`)]);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function buildIsm(release: string, qemuFolder: string, into: string): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'ismio-guest-headers-'));
  try {
    const abi = release.replace(/-s390x$/, '');
    const names = [`linux-headers-${release}`, `linux-headers-${abi}-common`, `linux-source-${/^\d+\.\d+/.exec(abi)}`];
    await unpack(await fetchPackages(names, guest), place);
    await unpack(await fetchPackages([`linux-kbuild-${abi}`], host), place);
    await run(join(packageRoot, 'test', 'guest', 's390x', 'ism-module.sh'), [place, qemuFolder, into]);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
