// Where this package is installed: its files are found from here, whichever of its builds is running.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Manifest {
  readonly name?: string;
  readonly version: string;
}

const found = findRoot();

/**
 * Whether this code runs from a file that a bundler made, in which case the files of the package are not beside it: the addon,
 * the module of the pool's threads.
 */
export const bundled = found === null;

/** The folder of this package; of a bundle, where the program was started. */
export const packageRoot = found ?? process.cwd();

/** What to do about a bundle, for the messages of what was not found. */
export const bundledAdvice =
  'ismio was bundled into another file, away from its own files. Tell the bundler to leave it out (esbuild: ' +
  "--external:ismio; webpack, Rollup, Vite: external 'ismio'; Next.js: serverExternalPackages) and install it beside the program";

/** The code of a bundle has no URL of its own where it was made CommonJS; elsewhere it has that of the bundle. */
function findRoot(): string | null {
  const url = import.meta.url as string | undefined;
  if (url?.startsWith('file:') !== true) return null;
  let folder = dirname(fileURLToPath(url));
  while (!isRoot(folder)) {
    if (folder === dirname(folder)) return null;
    folder = dirname(folder);
  }
  return folder;
}

/** A folder whose manifest may not be read is taken for it: code that is elsewhere would have met others before. */
function isRoot(folder: string): boolean {
  try {
    return manifestOf(folder).name === 'ismio';
  } catch (error) {
    return ['ERR_ACCESS_DENIED', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

export function packageVersion(): string {
  return found === null ? 'bundled' : manifestOf(found).version;
}
