// The folders that the processes of a comparison load their builds from. Copies, also of one and the same build: an addon
// is loaded a second time only from a second file.
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BuiltSide } from './sides.js';
import { nodeModulesOf } from './sides.js';
import { type ArmName, armNames } from './slices.js';

export type Arms = Readonly<Record<ArmName, string>>;

/** What a package needs to be loaded. */
const needed = ['package.json', 'dist/ismio.js', 'dist/src', 'prebuilds'];

export function makeArms(base: BuiltSide, head: BuiltSide, scratch: string): Arms {
  const sides = { base, null: base, head };
  return Object.fromEntries(armNames.map((name) => [name, copyOf(sides[name], join(scratch, name))])) as Arms;
}

function copyOf({ folder }: BuiltSide, into: string): string {
  for (const part of needed) {
    if (existsSync(join(folder, part))) cpSync(join(folder, part), join(into, part), { recursive: true });
  }
  const built = join(folder, 'build', 'Release');
  for (const file of existsSync(built) ? readdirSync(built) : []) {
    if (!file.endsWith('.node')) continue;
    mkdirSync(join(into, 'build', 'Release'), { recursive: true });
    cpSync(join(built, file), join(into, 'build', 'Release', file));
  }
  const nodeModules = nodeModulesOf(folder) ?? nodeModulesOf(dirname(folder));
  if (nodeModules !== null) symlinkSync(nodeModules, join(into, 'node_modules'));
  return into;
}
