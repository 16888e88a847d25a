// Debian packages by name, for any suite and architecture, without touching the host's own packages: a private apt
// configuration with its own sources, lists and an empty status. The mirror is the one the host's apt is set up with.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { folder } from './cache.js';
import { run } from './run.js';

export interface Suite {
  /** 'bookworm-backports', 'sid', .. */
  readonly suite: string;
  /** Debian's name of it: 'amd64', 's390x', .. */
  readonly architecture: string;
}

export interface FetchOptions extends Suite {
  /** With all that the packages depend on, down to the C library: enough for a folder to run programs in. */
  readonly dependencies?: boolean;
}

/** What Debian's archive does not have, or has out of reach: nothing that this checkout could have done differently. */
export class Unavailable extends Error {}

/** Lists older than this are fetched anew: 12 hours. */
const staleAfter = 12 * 3600 * 1000;
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Paths of the packages' files, downloaded when the cache does not have them. */
export async function fetchPackages(names: readonly string[], options: FetchOptions): Promise<string[]> {
  const apt = await prepared(options);
  const command = options.dependencies === true ? ['install', '--no-install-recommends'] : ['download'];
  const words = [...command, '--yes', '--print-uris', ...names];
  const printed = await run('apt-get', words, { env: apt.env }).catch((cause: Error) => {
    throw new Unavailable(`${options.suite} (${options.architecture}) lacks one of ${names.join(', ')}`, { cause });
  });
  // 'http://..' name_1%3a2_amd64.deb 12345 SHA256:..
  const wanted = [...printed.matchAll(/^'[^']+' (\S+\.deb) (\d+)/gm)].map(([, file, size]) => ({ file, size }));
  if (wanted.length < names.length) throw new Error(`apt named ${wanted.length} files for ${names.join(', ')}`);
  const downloads = folder('packages');
  const missing = wanted.filter(({ file, size }) => !hasSize(join(downloads, file), Number(size)));
  if (missing.length > 0)
    await download(
      missing.map(({ file }) => file),
      apt,
      downloads,
    );
  return wanted.map(({ file }) => join(downloads, file));
}

/** The packages that `name` depends on: how the newest version of a kernel is found. */
export async function dependencies(name: string, suite: Suite): Promise<string[]> {
  const apt = await prepared(suite);
  const shown = await run('apt-cache', ['show', '--no-all-versions', name], { env: apt.env });
  const line = /^Depends: (.*)$/m.exec(shown)?.[1] ?? '';
  return line.split(/[,|]/).map((one) => one.trim().replace(/ .*/, ''));
}

/** Unpacks packages into a folder, as they would lie under `/`; nothing of them is run. */
export async function unpack(packages: readonly string[], into: string): Promise<void> {
  for (const one of packages) await run('dpkg', ['--extract', one, into]);
}

interface Apt {
  readonly env: Readonly<Record<string, string>>;
}

const ready = new Map<string, Promise<Apt>>();

function prepared(suite: Suite): Promise<Apt> {
  const key = `${suite.suite}-${suite.architecture}`;
  const known = ready.get(key) ?? prepare(suite, folder('apt', key));
  ready.set(key, known);
  return known;
}

async function prepare({ suite, architecture }: Suite, own: string): Promise<Apt> {
  const lists = join(own, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  writeFileSync(join(own, 'status'), '');
  writeFileSync(join(own, 'sources.list'), `deb [signed-by=${keyring}] ${await mirror()} ${suite} main\n`);
  const settings = {
    'APT::Architecture': architecture,
    'APT::Get::List-Cleanup': 'true',
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Languages': 'none',
    'Dir::Cache': own,
    'Dir::Etc::PreferencesParts': '-',
    'Dir::Etc::SourceList': join(own, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::State': own,
    'Dir::State::Lists': lists,
    'Dir::State::Status': join(own, 'status'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  // The list of architectures is of another kind: it would add to what dpkg says of the host.
  const config = join(own, 'apt.conf');
  writeFileSync(config, `${lines.join('\n')}\nAPT::Architectures { "${architecture}"; };\n`);
  const apt = { env: { APT_CONFIG: config } };
  await update(suite, lists, apt);
  return apt;
}

/** Fetches the lists when they are old. Lists that cannot be renewed are used as they are, and said to be old. */
async function update(suite: string, lists: string, apt: Apt): Promise<void> {
  const stamp = join(lists, '..', 'updated');
  const updated = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  if (Date.now() - updated < staleAfter) return;
  try {
    await run('flock', [stamp.replace(/updated$/, 'lock'), 'apt-get', 'update', '--error-on=any'], apt);
    writeFileSync(stamp, '');
  } catch (cause) {
    if (updated === 0) throw new Unavailable(`the package lists of ${suite} could not be had`, { cause });
    console.log(`the package lists of ${suite} are those of ${new Date(updated).toISOString()}: ${String(cause)}`);
  }
}

/** The mirror of Debian's archive that the host's apt uses for the release it runs. */
async function mirror(): Promise<string> {
  const format = '$(REPO_URI) $(COMPONENT) $(LABEL)';
  const targets = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const found = /^(\S+) main Debian$/m.exec(targets)?.[1];
  if (found === undefined) {
    throw new Error(`no mirror of Debian in the sources of the host's apt, or apt-get update never ran:\n${targets}`);
  }
  return found;
}

/** Downloads in a folder that is only this run's, then gives the files their place. */
async function download(files: readonly string[], apt: Apt, into: string): Promise<void> {
  const began = performance.now();
  const place = mkdtempSync(join(into, 'unfinished-'));
  try {
    // name_1%3a2_amd64.deb is name=1:2
    const wanted = files.map((file) => decodeURIComponent(file).split('_').slice(0, 2).join('='));
    await run('apt-get', ['download', '--quiet', ...wanted], { ...apt, cwd: place }).catch((cause: Error) => {
      throw new Unavailable(`the archive names ${wanted.join(' ')}, but it does not give all of them`, { cause });
    });
    for (const file of files) renameSync(join(place, file), join(into, file));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`downloaded in ${seconds} s: ${files.map((file) => basename(file)).join(' ')}`);
}

function hasSize(path: string, size: number): boolean {
  return existsSync(path) && statSync(path).size === size;
}
