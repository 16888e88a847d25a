// Makes what browsers are shown, in dist/: of each page a script and a style that have in themselves what they need, as the
// report carries both in itself, and a console's page loads no more.
'use strict';
const { copyFileSync } = require('node:fs');
const { join } = require('node:path');
const { buildSync } = require('esbuild');
const noticesOf = require('./notices.cjs');

const root = join(__dirname, '..');

/** By folder, what goes with its script and its style as it is. */
const pages = {
  'bench/outputs/page': [],
  'src/console/web/page': ['index.html'],
};

for (const [folder, asTheyAre] of Object.entries(pages)) {
  const out = join(root, 'dist', folder);
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
  const { metafile } = buildSync({ ...options, write: false, entryPoints: [`${folder}/main.ts`] });
  const banner = { js: noticesOf(metafile) };
  buildSync({ ...options, banner, entryPoints: [`${folder}/main.ts`, `${folder}/style.css`] });
  for (const file of asTheyAre) copyFileSync(join(root, folder, file), join(out, file));
}
