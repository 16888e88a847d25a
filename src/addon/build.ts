// Builds the addon from the sources that the package carries, for a platform without a shipped binary.
//
// The package has no binding.gyp of its own, because npm would build it at every installation. A folder with a one-line
// binding.gyp is made for the build; it goes when the build went well and stays, with its log, when it did not.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { IsmioError } from '../support/errors.js';
import { packageRoot } from '../support/package.js';
import { reasonIn } from '../support/reason.js';

/**
 * Builds the addon with node-gyp and puts it where it is looked for first. Takes half a minute or so.
 * @returns the path of the addon
 * @throws IsmioError ERR_ISMIO_BUILD: no node-gyp, a folder that cannot be written to, or a compiler's error
 */
export async function buildAddon(): Promise<string> {
  const nodeGyp = findNodeGyp();
  const folder = await inPackage(() => mkdtemp(join(packageRoot, 'build-from-source-')));
  await writeFile(join(folder, 'binding.gyp'), "{ 'includes': ['../native/ismio.gypi'] }\n");
  const log = join(folder, 'build.log');
  await run(log, folder, nodeGyp, 'rebuild', '--jobs', 'max');
  const made = join(folder, 'build', 'Release', 'ismio.node');
  await run(log, folder, '-e', 'require(process.argv[1])', made);

  const target = join(packageRoot, 'build', 'Release', 'ismio.node');
  await inPackage(() => mkdir(dirname(target), { recursive: true }));
  // Renamed into place: a process that has the old one loaded keeps it.
  await copyFile(made, `${made}.new`);
  await rename(`${made}.new`, target);
  await rm(folder, { recursive: true, force: true });
  return target;
}

/** node-gyp of this checkout or project, else the one that came with npm. */
function findNodeGyp(): string {
  const { npm_config_node_gyp: told, npm_execpath: npm } = process.env;
  const bundled = ['node_modules', 'node-gyp', 'bin', 'node-gyp.js'];
  const candidates = [
    installedNodeGyp(),
    told ?? '',
    npm === undefined ? '' : join(dirname(dirname(npm)), ...bundled),
    join(prefix(), 'lib', 'node_modules', 'npm', ...bundled),
  ].filter((path) => path !== '');
  const found = candidates.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new IsmioError(
    'ERR_ISMIO_BUILD',
    `node-gyp was not found. Run "npm install --save-dev node-gyp", then "npx ismio build". Looked at: ${candidates.join('; ')}`,
    { looked: candidates },
  );
}

function installedNodeGyp(): string {
  try {
    return createRequire(join(packageRoot, 'package.json')).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    return ''; // this project has none of its own
  }
}

/** Where the running Node.js is installed. */
function prefix(): string {
  return dirname(dirname(process.execPath));
}

/** Runs Node.js with these arguments; its output goes to the log. */
async function run(log: string, folder: string, ...args: string[]): Promise<void> {
  const output = await open(log, 'a');
  try {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...headers(), ...process.env },
      stdio: ['ignore', output.fd, output.fd],
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    if (code === 0) return;
    const reason = reasonIn(await readFile(log, 'utf8')) ?? `it ended with ${signal ?? `exit code ${code}`}`;
    throw new IsmioError(
      'ERR_ISMIO_BUILD',
      `the addon could not be built: ${reason}. It needs a C++20 compiler (g++ 10 or later), make and python3, and ` +
        `Node.js's headers. All that was said is in ${log}`,
      { log, exitCode: code, signal },
    );
  } finally {
    await output.close();
  }
}

/** Headers that came with the running Node.js save node-gyp a download. */
function headers(): NodeJS.ProcessEnv {
  const there = existsSync(join(prefix(), 'include', 'node', 'common.gypi'));
  return there ? { npm_config_nodedir: prefix() } : {};
}

/** What writes to the package's own folder, which may belong to somebody else. */
async function inPackage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new IsmioError(
      'ERR_ISMIO_BUILD',
      `${packageRoot} cannot be written to (${code}). Run "npx ismio build" as a user who may`,
      { path: packageRoot },
      cause,
    );
  }
}
