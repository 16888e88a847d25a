// Loads the package from the folder that it lies in, whichever build that is.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Engine } from './workload.js';

interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, { readonly import?: string } | string>> & {
    readonly '.': { readonly import: string };
  };
}

function manifestOf(packageRoot: string): Manifest {
  return JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as Manifest;
}

export function versionOf(packageRoot: string): string {
  return manifestOf(packageRoot).version;
}

/** The URL of the module that `import 'ismio'` means there. */
export function entryOf(packageRoot: string): string {
  return pathToFileURL(join(packageRoot, manifestOf(packageRoot).exports['.'].import)).href;
}

function entriesOf(packageRoot: string): Record<string, string> {
  const entries: Record<string, string> = {};
  for (const [name, entry] of Object.entries(manifestOf(packageRoot).exports)) {
    if (typeof entry === 'string' || entry.import === undefined) continue;
    entries[name] = pathToFileURL(join(packageRoot, entry.import)).href;
  }
  return entries;
}

export async function loadEngine(packageRoot: string): Promise<Engine> {
  return { ...((await import(entryOf(packageRoot))) as Engine), entries: entriesOf(packageRoot) };
}
