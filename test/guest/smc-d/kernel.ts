// What both guests are made of: Debian's kernel 6.12 for s390x, which has SMC as a module, with ism and smc built for it. Resolved
// when this runs, kept in the cache by version.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../support/child.js';
import { digestOfFiles, kept } from '../support/cache.js';
import { copyModules } from '../support/modules.js';
import { dependencies, fetchPackages, unpack } from '../support/packages.js';
import { run } from '../support/run.js';

export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** Modules as the guest loads them, first to last. */
  readonly modules: readonly string[];
  /** What is not Debian's in them, a line each. */
  readonly changes: readonly string[];
  readonly busybox: string;
  /** The program that talks over the sockets. */
  readonly talk: string;
}

/** The backports to Debian 12: their kernel was built by the compiler that is the machine's own. Debian's newer kernels have no SMC. */
const suite = 'bookworm-backports';
const guest = { suite, architecture: 's390x' };
const host = { suite, architecture: 'amd64' };

/** Debian's, as they are: the network card, and what smc needs. */
const debians = ['virtio_net', 'ib_core', 'pnet'];
const built = ['ism', 'smc', 'smc_diag'];

const talkSources = ['talk.c', 'listener.c', 'connector.c', 'mode.c'];
const here = join(packageRoot, 'test', 'guest', 'smc-d');

export async function kernel(): Promise<Kernel> {
  const newest = await dependencies('linux-headers-s390x', guest);
  const release = newest.find((name) => /^linux-headers-\d/.test(name))?.replace('linux-headers-', '');
  if (release === undefined) throw new Error(`linux-headers-s390x names no release: ${newest.join(' ')}`);
  const unpacked = await kept(`smc-d-kernel-${release}`, (empty) => unpackKernel(release, empty));
  const recipe = digestOfFiles(join(here, 'module'), ['build.sh', 'stores.h']);
  const own = await kept(`smc-d-modules-${release}-${recipe}`, (empty) => buildModules(release, empty));
  const talk = await kept(
    `smc-d-talk-${digestOfFiles(join(here, 'talk'), [...talkSources, 'talk.h', 'mode.h'])}`,
    buildTalk,
  );
  const order = readFileSync(join(unpacked, 'order'), 'utf8').trim().split('\n');
  return {
    release,
    image: join(unpacked, 'vmlinuz'),
    modules: [...order.map((name) => join(unpacked, `${name}.ko`)), ...built.map((name) => join(own, `${name}.ko`))],
    changes: readFileSync(join(own, 'changes'), 'utf8').trim().split('\n'),
    busybox: join(unpacked, 'busybox'),
    talk: join(talk, 'talk'),
  };
}

async function unpackKernel(release: string, into: string): Promise<void> {
  await inPlace('kernel', async (place) => {
    await unpack(await fetchPackages([`linux-image-${release}`], guest), place);
    await unpack(await fetchPackages(['busybox-static'], { ...guest, suite: 'bookworm' }), place);
    copyFileSync(join(place, 'boot', `vmlinuz-${release}`), join(into, 'vmlinuz'));
    copyFileSync(join(place, 'bin', 'busybox'), join(into, 'busybox'));
    const order = await copyModules(join(place, 'lib', 'modules', release), debians, into);
    writeFileSync(join(into, 'order'), order.map((name) => `${name}\n`).join(''));
  });
}

async function buildModules(release: string, into: string): Promise<void> {
  await inPlace('headers', async (place) => {
    const abi = release.replace(/-s390x$/, '');
    const names = [`linux-headers-${release}`, `linux-headers-${abi}-common`, `linux-source-${/^\d+\.\d+/.exec(abi)}`];
    await unpack(await fetchPackages(names, guest), place);
    await unpack(await fetchPackages([`linux-kbuild-${abi}`], host), place);
    await run(join(here, 'module', 'build.sh'), [place, into]);
  });
}

async function buildTalk(into: string): Promise<void> {
  const sources = talkSources.map((name) => join(here, 'talk', name));
  const words = ['-O2', '-Wall', '-Wextra', '-Werror', '-static', ...sources, '-o', join(into, 'talk')];
  await run('s390x-linux-gnu-gcc', words);
}

async function inPlace(name: string, use: (place: string) => Promise<void>): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), `ismio-guest-${name}-`));
  try {
    await use(place);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
