// Makes the page of a console: a script and a style that have the terminal in themselves, and the page that loads them.
'use strict';
const { copyFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { buildSync } = require('esbuild');
const noticesOf = require('../../../../.ci/notices.cjs');

const root = join(__dirname, '..', '..', '..', '..');
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
const banner = { js: noticesOf(metafile) };
buildSync({ ...options, banner, entryPoints: [join(__dirname, 'main.ts'), join(__dirname, 'style.css')] });
copyFileSync(join(__dirname, 'index.html'), join(out, 'index.html'));
