// Declarations for those who `require`: a copy of what dist/src/index.d.ts reaches, in a folder whose package.json says that
// it is CommonJS. One file that re-exported the others would not do: they would be those of modules still (TS1479).
'use strict';
const { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { dirname, join, normalize } = require('node:path');

const from = join(__dirname, '..', 'dist', 'src');
const to = join(__dirname, '..', 'dist', 'cjs');

/** The declarations that this one reaches, itself among them, by their paths in `from`. */
function reached(path, known = new Set()) {
  if (known.has(path)) return known;
  known.add(path);
  const text = readFileSync(join(from, path), 'utf8');
  for (const [, next] of text.matchAll(/(?:from|import\()\s*['"](\.[^'"]+)\.js['"]/g)) {
    reached(normalize(join(dirname(path), `${next}.d.ts`)), known);
  }
  return known;
}

rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
writeFileSync(join(to, 'package.json'), '{ "type": "commonjs" }\n');
for (const path of reached('index.d.ts')) cpSync(join(from, path), join(to, path));
