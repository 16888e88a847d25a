// What is compared: a git ref, a directory or a packed tarball, each turned into a folder with a built package in it.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { IsmioError } from '../../src/support/errors.js';
import { reasonIn } from '../../src/support/reason.js';
import { commitOf } from '../commit.js';
import { execute, type Failed } from '../execute.js';
import { cacheAdvice, cacheFolder, passingFolder, scratchAdvice } from '../folders.js';
import { runGit, withoutRepository } from '../git.js';
import { attempt } from '../outputs/write.js';
import type { Side } from '../results.js';

export interface BuiltSide extends Side {
  /** Holds package.json, dist/ and an addon. */
  readonly folder: string;
  /** What its dependencies are in, where that is not found from the folder itself. */
  readonly nodeModules?: string;
}

/** Says what is being done, for work that lasts. */
export type Say = (what: string) => void;

/**
 * Finds out what was meant, and builds it where that is wanted.
 * @param scratch a folder for what lasts no longer than this comparison
 * @throws IsmioError ERR_ISMIO_BASELINE
 */
export async function prepareSide(spec: string, scratch: string, say: Say): Promise<BuiltSide> {
  // resolve('') is the working directory: a variable that was never set would compare a checkout with itself.
  if (spec === '')
    throw baseline(spec, 'an empty word names nothing to compare; is a variable in the command not set?');
  const path = resolve(spec);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return directorySide(spec, path, scratch, say);
  if (stat?.isFile() && /\.(tgz|tar\.gz)$/.test(path)) return tarballSide(spec, path, scratch, say);
  if (stat?.isFile()) throw baseline(spec, `${spec} is a file, but no tarball (.tgz)`);
  return refSide(spec, say);
}

async function directorySide(spec: string, path: string, scratch: string, say: Say): Promise<BuiltSide> {
  const version = versionIn(spec, path);
  const commit = commitOf(path, say);
  const side = { spec, kind: 'directory', version, commit } as const;
  if (isBuilt(path)) return { ...side, folder: path };
  const copy = mkdtempSync(join(scratch, 'directory-'));
  const filter = (from: string): boolean => !['node_modules', '.git', 'build'].includes(basename(from));
  attempt(copy, () => cpSync(path, copy, { recursive: true, filter }), scratchAdvice);
  await build(spec, copy, nodeModulesOf(path), say);
  return { ...side, folder: copy };
}

async function tarballSide(spec: string, path: string, scratch: string, say: Say): Promise<BuiltSide> {
  const folder = mkdtempSync(join(scratch, 'tarball-'));
  say(`unpacking ${basename(path)}`);
  await execute('tar', ['-xzf', path, '-C', folder, '--strip-components=1']).catch((cause) => {
    throw baseline(spec, `${spec} is no tarball that can be unpacked: ${whyOf(cause)}`, cause);
  });
  const version = versionIn(spec, folder);
  await installOwn(spec, folder, ['--omit=dev'], say);
  if (!hasAddon(folder)) await run(spec, folder, process.execPath, ['dist/src/cli/main.js', 'build'], say);
  return { spec, kind: 'tarball', version, commit: null, folder };
}

/** Builds of a commit are kept: the next comparison with it begins at once. */
async function refSide(spec: string, say: Say): Promise<BuiltSide> {
  const { repository, commit } = await resolveRef(spec);
  const folder = join(cacheFolder('builds'), `${commit}-${process.platform}-${process.arch}`);
  if (!isBuilt(folder)) {
    const fresh = passingFolder(`${folder}-`, cacheAdvice);
    try {
      await checkOut(spec, repository, commit, fresh.path);
      versionIn(spec, fresh.path);
      await build(spec, fresh.path, nodeModulesOf(repository), say);
      rmSync(folder, { recursive: true, force: true });
      renameSync(fresh.path, folder);
    } finally {
      fresh.remove();
    }
  }
  const nodeModules = await dependenciesOf(spec, folder, nodeModulesOf(repository), say);
  return { spec, kind: 'ref', version: versionIn(spec, folder), commit, folder, nodeModules };
}

/**
 * Of a kept build. It outlives the clone that it was made in, so what it needs comes from the clone of today where the two
 * ask for the same, and else lies in the build itself. A link from one into the other never stays.
 */
async function dependenciesOf(spec: string, folder: string, here: string | null, say: Say): Promise<string> {
  const own = join(folder, 'node_modules');
  if (lstatSync(own, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(own);
  if (here !== null && sameLock(folder, dirname(here))) return here;
  // npm writes this file when everything is there.
  if (!existsSync(join(own, '.package-lock.json'))) await installOwn(spec, folder, ['--omit=dev'], say);
  return own;
}

async function resolveRef(spec: string): Promise<{ repository: string; commit: string }> {
  const top = await runGit('rev-parse', '--show-toplevel');
  if ('refused' in top) throw notThere(spec, top.refused);
  const commit = await runGit('rev-parse', '--verify', '--end-of-options', `${spec}^{commit}`);
  if ('said' in commit) return { repository: top.said, commit: commit.said };
  const shallow = await runGit('rev-parse', '--is-shallow-repository');
  const cut = 'said' in shallow && shallow.said === 'true';
  const advice = cut
    ? '. The clone is shallow: git fetch --unshallow gets the rest (fetch-depth: 0 of actions/checkout)'
    : '';
  throw notThere(spec, `${commit.refused}${advice}`);
}

function notThere(spec: string, gitSays: string): IsmioError {
  return baseline(spec, `${spec} is no directory and no tarball; and as a commit, git says: ${gitSays}`);
}

async function checkOut(spec: string, repository: string, commit: string, folder: string): Promise<void> {
  const archive = join(folder, 'archive.tar');
  const failed = (why: string): IsmioError =>
    baseline(spec, `${spec} could not be checked out of ${repository}: ${why}`);
  const archived = await runGit('-C', repository, 'archive', '--output', archive, commit);
  if ('refused' in archived) throw failed(archived.refused);
  await execute('tar', ['-xf', archive, '-C', folder]).catch((cause) => {
    throw failed(whyOf(cause));
  });
  rmSync(archive);
}

async function build(spec: string, folder: string, nodeModules: string | null, say: Say): Promise<void> {
  await installDependencies(spec, folder, nodeModules, say);
  await run(spec, folder, 'npm', ['run', 'build'], say);
  if (!isBuilt(folder)) throw baseline(spec, `${spec} was built, but has no dist/ismio.js with an addon then`);
}

/** Those of `nodeModules` where the two ask for the same; else what its own lock file says. */
async function installDependencies(spec: string, folder: string, nodeModules: string | null, say: Say): Promise<void> {
  if (nodeModules !== null && sameLock(folder, dirname(nodeModules)) && hasAllOf(folder, nodeModules)) {
    symlinkSync(nodeModules, join(folder, 'node_modules'));
    return;
  }
  await installOwn(spec, folder, everything, say);
}

/** What a build needs, also where NODE_ENV or npm's configuration says that a user needs less. */
const everything = ['--include=dev', '--include=optional'];

/** Whether all is installed that the package in `folder` asks for by name: where NODE_ENV was production, half of it is. */
function hasAllOf(folder: string, nodeModules: string): boolean {
  const text = readFileSync(join(folder, 'package.json'), 'utf8');
  const { dependencies = {}, devDependencies = {} } = JSON.parse(text) as Record<string, Record<string, string>>;
  return Object.keys({ ...dependencies, ...devDependencies }).every((name) => existsSync(join(nodeModules, name)));
}

async function installOwn(spec: string, folder: string, options: readonly string[], say: Say): Promise<void> {
  const how = existsSync(join(folder, 'package-lock.json')) ? ['ci'] : ['install', '--no-save'];
  await run(spec, folder, 'npm', [...how, ...options, '--ignore-scripts', '--no-audit', '--no-fund'], say);
}

async function run(spec: string, folder: string, program: string, words: string[], say: Say): Promise<void> {
  const command = [basename(program), ...words].join(' ');
  say(`${spec}: ${command}`);
  try {
    await execute(program, words, { cwd: folder, env: withoutRepository() });
  } catch (cause) {
    const { stderr, stdout, code } = cause as Failed;
    const said = `${stdout}\n${stderr}`.trim();
    throw baseline(spec, `${spec} does not build: '${command}' ended with ${code}: ${whyOf(cause)}`, cause, said);
  }
}

function whyOf(cause: unknown): string {
  const { stderr = '', stdout = '', message = String(cause) } = cause as Partial<Failed>;
  return reasonIn(`${stdout}\n${stderr}`) ?? message;
}

function sameLock(a: string, b: string): boolean {
  const [one, other] = [a, b].map((folder) => {
    const path = join(folder, 'package-lock.json');
    return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : null;
  });
  return one !== null && one === other;
}

/** The version of the package in a folder, which has to be this one. */
function versionIn(spec: string, folder: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
    if (name === 'ismio' && typeof version === 'string') return version;
    throw new Error(`package.json is that of ${String(name)}`);
  } catch (cause) {
    throw baseline(spec, `${spec} has no package ismio in it: ${(cause as Error).message}`, cause);
  }
}

function hasAddon(folder: string): boolean {
  const shipped = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
  return existsSync(join(folder, 'build', 'Release', 'ismio.node')) || existsSync(shipped);
}

function isBuilt(folder: string): boolean {
  return existsSync(join(folder, 'dist', 'ismio.js')) && hasAddon(folder);
}

/** The node_modules that a package in this folder finds its dependencies in. */
export function nodeModulesOf(folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules');
    if (existsSync(join(candidate, 'piscina'))) return candidate;
    if (at === dirname(at)) return null;
  }
}

function baseline(spec: string, message: string, cause?: unknown, log?: string): IsmioError {
  return new IsmioError('ERR_ISMIO_BASELINE', message, { spec, ...(log !== undefined && { log }) }, cause);
}
