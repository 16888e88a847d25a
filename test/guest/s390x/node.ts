// The guest's Node.js and the package in it.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../support/child.js';
import { folder, kept } from '../support/cache.js';
import { run } from '../support/run.js';

/** The last Node.js for s390x that is to be had as an npm package; .ci/run has the same one. */
const version = '20.11.0';
const integrity = '00F88i+9jVexpzxYBDrY+xXqeyU3XW1JhyoxGqSbnUbmcOzvYzSSjVxaQLdGHNtavZywN24058sjCq0rVMHzZw==';

/** The C library of the cross-compiler is the guest's. */
const sysroot = '/usr/s390x-linux-gnu/lib';
const libraries = [
  ...['ld64.so.1', 'libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0'],
  ...['libstdc++.so.6', 'libgcc_s.so.1', 'libatomic.so.1'],
];

/** Node.js and its libraries: place in the guest, and the host's file. */
export async function nodeFiles(): Promise<Record<string, string>> {
  const unpacked = await kept(`node-s390x-${version}`, unpackNode);
  const files: Record<string, string> = { '/bin/node': join(unpacked, 'node') };
  for (const name of libraries) {
    const path = join(sysroot, name);
    files[`/lib/${name}`] = path;
  }
  return files;
}

async function unpackNode(into: string): Promise<void> {
  const downloads = folder('packages');
  const archive = join(downloads, `node-linux-s390x-${version}.tgz`);
  if (!existsSync(archive)) {
    await run('npm', ['pack', '--silent', '--pack-destination', downloads, `node-linux-s390x@${version}`]);
  }
  const found = createHash('sha512').update(readFileSync(archive)).digest('base64');
  if (found !== integrity) {
    rmSync(archive);
    throw new Error(
      `node-linux-s390x@${version} has sha512-${found}, not sha512-${integrity}; the download is deleted`,
    );
  }
  await run('tar', ['-xzf', archive, '-C', into, '--strip-components=2', 'package/bin/node']);
  await run('s390x-linux-gnu-strip', [join(into, 'node')]); // every byte of the archive costs the guest time
}

/** The package as the guest has it, with the programs that it runs. */
export async function packageFiles(): Promise<Record<string, string>> {
  const addon = join(await kept(`addon-s390x-${await sourcesDigest()}`, buildAddon), 'ismio.node');
  const files: Record<string, string> = { '/package/prebuilds/linux-s390x/ismio.glibc.node': addon };
  const programs = ['src/pci', 'src/support', 'src/addon', 'test/guest', 'test/support'].flatMap((place) =>
    readdirSync(join(packageRoot, 'dist', place), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.js'))
      .map((name) => join('dist', place, name)),
  );
  const built = readdirSync(join(packageRoot, 'dist'))
    .filter((name) => /\.c?js$/.test(name))
    .map((name) => join('dist', name));
  for (const name of ['package.json', ...built, ...programs]) files[`/package/${name}`] = join(packageRoot, name);
  return files;
}

async function buildAddon(into: string): Promise<void> {
  const platform = 'linux-s390x';
  await run(join(packageRoot, '.ci', 'prebuild.sh'), [platform, 'glibc']);
  copyFileSync(join(packageRoot, 'prebuilds', platform, 'ismio.glibc.node'), join(into, 'ismio.node'));
}

/** Of everything that the addon is built from. */
async function sourcesDigest(): Promise<string> {
  const hash = createHash('sha256');
  const native = readdirSync(join(packageRoot, 'native'), { recursive: true, encoding: 'utf8' });
  const names = ['binding.gyp', 'package-lock.json', ...native.map((name) => join('native', name)).sort()];
  for (const name of names) {
    const path = join(packageRoot, name);
    if (statSync(path).isFile()) hash.update(name).update('\0').update(readFileSync(path));
  }
  hash.update(await run('s390x-linux-gnu-g++', ['--version']));
  return hash.digest('hex').slice(0, 16);
}
