// Makes the script and the style of the report: each one file, which every report carries in itself.
'use strict';
const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { dirname, join, relative } = require('node:path');
const { buildSync } = require('esbuild');

const root = join(__dirname, '..', '..', '..');
const out = join(root, 'dist', relative(root, __dirname));

const options = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  charset: 'utf8',
  format: 'iife',
  target: ['es2022'],
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  outdir: out,
};

const { metafile } = buildSync({ ...options, write: false, entryPoints: [join(__dirname, 'main.ts')] });
const banner = { js: `/*\n${notices(usedInputs(metafile))}\n*/` };
buildSync({ ...options, banner, entryPoints: [join(__dirname, 'main.ts'), join(__dirname, 'style.css')] });

/** Files of which something is left when what nobody calls has gone. */
function usedInputs({ outputs }) {
  const all = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs));
  return all.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([input]) => input);
}

/** The licence of every package that went in: their conditions ask for it in each copy. */
function notices(inputs) {
  const folders = new Set(inputs.filter((input) => input.includes('node_modules/')).map((input) => folderOf(input)));
  const texts = new Map();
  for (const folder of [...folders].sort()) {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const licence = licenceOf(folder);
    texts.set(licence, [...(texts.get(licence) ?? []), `${name} ${version}`]);
  }
  return [...texts].map(([licence, packages]) => `${packages.join(', ')}\n\n${licence}`).join('\n\n');
}

function folderOf(input) {
  let folder = dirname(join(root, input));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

function licenceOf(folder) {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (file === undefined) throw new Error(`${folder} has no licence file`);
  return readFileSync(join(folder, file), 'utf8').trim().replaceAll('*/', '* /');
}
