// What a script that was made of several packages says of them: the licence of every one that went in. Their conditions ask for
// it in each copy.
'use strict';
const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { dirname, join } = require('node:path');

const root = join(__dirname, '..');

/** A comment with the licences, of what esbuild tells of a build. */
module.exports = function noticesOf(metafile) {
  return `/*\n${notices(usedInputs(metafile))}\n*/`;
};

/** Files of which something is left when what nobody calls has gone. */
function usedInputs({ outputs }) {
  const all = Object.values(outputs).flatMap(({ inputs }) => Object.entries(inputs));
  return all.filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([input]) => input);
}

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
