// Modules of Debian's kernels, unpacked for a guest that loads them one by one.
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.js';

/** Unpacks one module out of a kernel's folder; where it is then. */
export async function copyModule(from: string, name: string, into: string): Promise<string> {
  const all = readdirSync(from, { recursive: true, encoding: 'utf8' });
  const path = all.find((one) => one.endsWith(`/${name}.ko.xz`));
  if (path === undefined) throw new Error(`${from} has no module ${name}`);
  const module = join(into, `${name}.ko`);
  copyFileSync(join(from, path), `${module}.xz`);
  await run('xz', ['--decompress', `${module}.xz`]);
  return module;
}

/** Modules with all that they need, as their names in the order of loading: each behind those that it needs itself. */
export async function copyModules(from: string, names: readonly string[], into: string): Promise<string[]> {
  const order: string[] = [];
  const add = async (name: string): Promise<void> => {
    if (order.includes(name)) return;
    const module = await copyModule(from, name, into);
    for (const needed of needs(module)) await add(needed);
    order.push(name);
  };
  for (const name of names) await add(name);
  return order;
}

/** The modules that a module says it needs: `depends=a,b` of its section .modinfo, with an end of zero. */
function needs(module: string): string[] {
  const [, names = ''] = /\0depends=([\w,-]*)\0/.exec(readFileSync(module, 'latin1')) ?? [];
  return names.split(',').filter((name) => name !== '');
}
