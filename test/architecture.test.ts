// The tree is the pipeline: docs/architecture.md lists its folders, and imports point down that list.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from './support/child.js';

const page = readFileSync(join(packageRoot, 'docs', 'architecture.md'), 'utf8');

/** The folders of a table of the page, from the top down; where several share a row, none may import another. */
function rowsOf(heading: string): string[][] {
  const [, section = ''] = page.split(`## ${heading}\n`);
  const rows = section.split('\n## ', 1)[0]?.match(/^\| `.*$/gm) ?? [];
  return rows.map((row) => Array.from(row.split('|')[1]?.matchAll(/`([^`]+)\/`/g) ?? [], ([, name]) => name as string));
}

function filesIn(folder: string, ending: RegExp): string[] {
  return readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));
}

/** What each file imports of this package's own, by its path from the root; types as well. */
function importsOf(folders: readonly string[]): Map<string, string[]> {
  const files = folders.flatMap((folder) => filesIn(folder, /\.ts$/));
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(packageRoot, file), 'utf8');
      const found = text.matchAll(/(?:\bfrom|\bimport\(|^import)\s*'(\.[^']+)\.js'/gm);
      return [file, Array.from(found, ([, path]) => `${join(dirname(file), path as string)}.ts`)];
    }),
  );
}

function includesOf(folder: string): Map<string, string[]> {
  return new Map(
    filesIn(folder, /\.(cc|h)$/).map((file) => {
      const text = readFileSync(join(packageRoot, file), 'utf8');
      return [file, Array.from(text.matchAll(/#include "([^"]+)"/g), ([, path]) => join(folder, path as string))];
    }),
  );
}

/** Imports that point up the list, or to a neighbour in the same row. */
function upwards(imports: ReadonlyMap<string, readonly string[]>, rows: readonly string[][]): string[] {
  const folders = rows.flat().sort((a, b) => b.length - a.length);
  const folderOf = (file: string): string => folders.find((folder) => file.startsWith(`${folder}/`)) ?? '';
  const rowOf = (folder: string): number => rows.findIndex((row) => row.includes(folder));
  return [...imports].flatMap(([file, others]) =>
    others
      .filter((other) => {
        const [from, to] = [folderOf(file), folderOf(other)];
        return from !== to && rowOf(to) <= rowOf(from);
      })
      .map((other) => `${file} -> ${other}`),
  );
}

/** Files that reach themselves. */
function circles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const reached = (file: string): Set<string> => {
    const seen = new Set<string>();
    const next = [...(imports.get(file) ?? [])];
    for (let one = next.pop(); one !== undefined; one = next.pop()) {
      if (seen.has(one)) continue;
      seen.add(one);
      next.push(...(imports.get(one) ?? []));
    }
    return seen;
  };
  return [...imports.keys()].filter((file) => reached(file).has(file));
}

const sources = importsOf(['src', 'bench']);
/** Those that programs import by name stand above all. */
const entries = ['src/index.ts', 'src/device.ts', 'src/ism.ts', 'src/console.ts', 'src/block.ts'];
const ofEntry = new Map([...sources].filter(([file]) => !entries.includes(file)));
const native = includesOf('native');

test('the page lists every folder with code in it, and no other', () => {
  const listed = [...rowsOf('The tree of src'), ...rowsOf('The tree of native')].flat().sort();
  const there = [...sources.keys(), ...native.keys()].filter((file) => !file.startsWith('bench/')).map(dirname);
  const within = (folder: string): boolean => listed.some((one) => folder === one || folder.startsWith(`${one}/`));
  assert.deepEqual(
    [...new Set(there)].filter((folder) => !['src', 'native'].includes(folder) && !within(folder)),
    [],
  );
  for (const folder of listed)
    assert.ok(
      there.some((one) => one === folder || one.startsWith(`${folder}/`)),
      folder,
    );
});

test('imports of src point down the list, types as well; only the index stands above it', () => {
  const rows = rowsOf('The tree of src');
  assert.ok(rows.length > 5);
  const within = new Map([...ofEntry].filter(([file]) => file.startsWith('src/')));
  const own = [...within].map(([file, others]) => [file, others.filter((one) => one.startsWith('src/'))] as const);
  assert.deepEqual(upwards(new Map(own), rows), []);
});

test('includes of native point down the list', () => {
  const rows = rowsOf('The tree of native');
  assert.ok(rows.length > 5);
  assert.deepEqual(upwards(new Map([...native].filter(([file]) => file !== 'native/addon.cc')), rows), []);
});

test('no file imports one that imports it, however many stand between them', () => {
  assert.deepEqual(circles(sources), []);
  assert.deepEqual(circles(native), []);
});

test('bench takes the package as programs do, and of src only what is of no use to them; the command line alone loads bench', () => {
  const outside = [...sources].flatMap(([file, others]) =>
    others.filter((one) => file.split('/', 1)[0] !== one.split('/', 1)[0]).map((one) => ({ file, one })),
  );
  const ofBench = outside.filter(({ file, one }) => file.startsWith('bench/') && !one.startsWith('src/support/'));
  const ofSrc = outside.filter(({ file }) => file.startsWith('src/') && !file.startsWith('src/cli/'));
  assert.deepEqual([...ofBench, ...ofSrc], []);
});
