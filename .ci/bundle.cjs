// Makes the package that programs load: dist/ismio.cjs, all of the library in one file, because a hundred small files take
// three times as long; dist/ismio.js, through which `import` has the same; dist/worker.cjs, which the pool's threads run.
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { buildSync } = require('esbuild');

const root = join(__dirname, '..');

const options = {
  absWorkingDir: root,
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // Names stay, for stack traces and profiles; lines stay short enough to be shown.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  define: { 'import.meta.url': 'importMetaUrl' },
  banner: {
    js: `'use strict'; const importMetaUrl = require('node:url').pathToFileURL(__filename).href;`,
  },
  logLevel: 'warning',
};

buildSync({
  ...options,
  entryPoints: { ismio: 'src/index.ts', worker: 'src/pool/worker.ts' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
});

/** What the library exports by name. */
const { metafile } = buildSync({
  ...options,
  format: 'esm',
  entryPoints: ['src/index.ts'],
  metafile: true,
  write: false,
});
const [{ exports: names }] = Object.values(metafile.outputs);

// What CommonJS requires of Node.js it has as it is; to import it looks at everything that it exports, which loads streams,
// promises and more that nobody asked for.
writeFileSync(
  join(root, 'dist', 'ismio.js'),
  `import { createRequire } from 'node:module';

export const { ${names.join(', ')} } = createRequire(import.meta.url)('./ismio.cjs');
`,
);
