// The folders that the processes of a comparison load their builds from. Copies, also of one and the same build: an addon
// is loaded a second time only from a second file.
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { scratchAdvice } from '../folders.js';
import { attempt } from '../outputs/write.js';
import type { BuiltSide } from './sides.js';
import { nodeModulesOf } from './sides.js';
import { type ArmName, armNames } from './slices.js';

export type Arms = Readonly<Record<ArmName, string>>;

/** What a package needs to be loaded, but for the files in dist. */
const needed = ['package.json', 'dist/src', 'prebuilds'];

export function makeArms(base: BuiltSide, head: BuiltSide, scratch: string): Arms {
  const sides = { base, null: base, head };
  const copies = attempt(
    scratch,
    () => armNames.map((name) => [name, copyOf(sides[name], join(scratch, name))]),
    scratchAdvice,
  );
  return Object.fromEntries(copies) as Arms;
}

/** What is needed of a build to load it, in a folder of its own. */
export function copyOf({ folder, nodeModules = nodeModulesOf(folder) ?? undefined }: BuiltSide, into: string): string {
  const files = readdirSync(join(folder, 'dist')).filter((name) => /\.c?js$/.test(name));
  for (const part of [...needed, ...files.map((name) => join('dist', name))]) {
    if (existsSync(join(folder, part))) cpSync(join(folder, part), join(into, part), { recursive: true });
  }
  const built = join(folder, 'build', 'Release');
  for (const file of existsSync(built) ? readdirSync(built) : []) {
    if (!file.endsWith('.node')) continue;
    mkdirSync(join(into, 'build', 'Release'), { recursive: true });
    cpSync(join(built, file), join(into, 'build', 'Release', file));
  }
  if (nodeModules !== undefined) symlinkSync(nodeModules, join(into, 'node_modules'));
  return into;
}

/**
 * Puts the addons of the arms into other pages of memory. A file's pages stay where they are from process to process, and
 * where that is makes up to 2 % of some benchmarks: as long as it is drawn but once, a build can differ from itself in
 * every process alike, and no number of processes shows that it was luck.
 */
export function renewAddons(arms: Arms): void {
  for (const folder of Object.values(arms)) {
    for (const file of addonsIn(folder)) attempt(file, () => renew(file), scratchAdvice);
  }
}

/** Copied before the old one goes, which would leave its pages to the copy. */
function renew(file: string): void {
  copyFileSync(file, `${file}.new`);
  renameSync(`${file}.new`, file);
}

function addonsIn(folder: string): string[] {
  return ['build', 'prebuilds']
    .map((part) => join(folder, part))
    .filter((part) => existsSync(part))
    .flatMap((part) => readdirSync(part, { recursive: true, encoding: 'utf8' }).map((file) => join(part, file)))
    .filter((file) => file.endsWith('.node'));
}
