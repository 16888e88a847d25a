// Finds the addon and loads it; where it cannot, says of each place what it answered, and what to do about that.
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { IsmioError } from '../support/errors.js';
import { bundled, bundledAdvice, packageRoot } from '../support/package.js';

/** What a place answered, in its own words, and what helps if that is known. */
interface Refusal {
  readonly said: string;
  readonly advice?: string;
}

const platform = `${process.platform}-${process.arch}`;
const buildAdvice = `Run "npx ismio build" to build it here; it needs a C++20 compiler, make and python3`;

/**
 * Where an addon for this platform may be: one that was built here first, then those that were shipped. An addon built
 * against one C library does not load under the other, so trying both finds the right one.
 */
export function binaryPaths(): string[] {
  const shipped = join(packageRoot, 'prebuilds', platform);
  return [
    join(packageRoot, 'build', 'Release', 'ismio.node'),
    join(shipped, 'ismio.glibc.node'),
    join(shipped, 'ismio.musl.node'),
  ];
}

/** @throws IsmioError ERR_ISMIO_NO_BINARY, which says where it looked and what it met there */
export function loadAddon(): { addon: unknown; path: string } {
  const chosen = process.env['ISMIO_BINARY'];
  const require = createRequire(join(packageRoot, 'package.json'));
  const refusals: (readonly [path: string, refusal: Refusal])[] = [];
  for (const path of chosen ? [chosen] : bundled ? [] : binaryPaths()) {
    try {
      return { addon: require(path), path };
    } catch (error) {
      refusals.push([path, refusalOf(path, error as NodeJS.ErrnoException)]);
    }
  }
  const looked = refusals.map(([path, { said }]) => `${path}: ${said}`);
  const where = looked.length > 0 ? `. Looked at: ${looked.join('; ')}` : '';
  throw new IsmioError(
    'ERR_ISMIO_NO_BINARY',
    `no ismio addon for ${platform} (Node.js ${process.version}). ${adviceOn(refusals.map(([, refusal]) => refusal))}${where}`,
    { platform: process.platform, arch: process.arch, looked, bundled },
  );
}

/** What is there and was refused says more than what is not there; of several, the first was meant to be taken. */
function adviceOn(refusals: readonly Refusal[]): string {
  if (bundled && refusals.length === 0) return bundledAdvice;
  return refusals.find(({ advice }) => advice !== undefined)?.advice ?? buildAdvice;
}

function refusalOf(path: string, { code, message }: NodeJS.ErrnoException): Refusal {
  const unreadable = whyUnreadable(path);
  if (unreadable !== null) return unreadable;
  const said = message.split('\n')[0] as string;
  if (code === 'ERR_DLOPEN_DISABLED') {
    return { said, advice: 'Node.js may load no addon: start it with --allow-addons, or without --no-addons' };
  }
  if (code === 'MODULE_NOT_FOUND') {
    return { said: `it is there, but the "require" of this program does not find it (${said})`, advice: bundledAdvice };
  }
  const known = dynamicLinker.find(([words]) => words.test(said));
  return known === undefined ? { said } : { said: `${said} (${known[1]})`, ...(known[2] && { advice: known[2] }) };
}

/** Null for a file that can be read. */
function whyUnreadable(path: string): Refusal | null {
  try {
    accessSync(path, constants.R_OK);
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { said: 'not there' };
    if (code === 'ERR_ACCESS_DENIED') {
      const advice = `Node.js may not read it: start it with --allow-fs-read=${packageRoot} and --allow-addons`;
      return { said: "Node.js' permission model forbids to read it", advice };
    }
    return { said: `cannot be read: ${message}`, advice: `Let this user read ${path}` };
  }
}

/**
 * What dlopen says, what it means, and what helps. The words are those of glibc (elf/dl-load.c) and musl (ldso/dynlink.c);
 * others are handed on as they are.
 */
const dynamicLinker: readonly (readonly [words: RegExp, means: string, advice?: string])[] = [
  [
    /failed to map segment|Operation not permitted|Permission denied/,
    'no code may be run from there: the file system is mounted noexec, or a security module forbids it',
    'Install ismio on a file system that is mounted without noexec, or set ISMIO_BINARY to a copy of the addon on one',
  ],
  [/wrong ELF class|Exec format error|cannot open shared object file: No such file.*e_machine/, 'of another CPU'],
  [/invalid ELF header|file too short|cannot read file data|not a dynamic/i, 'no addon, or a part of one'],
  [/libc\.musl-|ld-musl-/, 'built for musl, which this system does not have'],
  [/GLIBC(XX)?_[\d.]+' not found/, 'built for a newer C or C++ library than this system has'],
  [/libc\.so\.6|__.*_chk: symbol not found/, 'built for glibc, which this system does not have'],
];
