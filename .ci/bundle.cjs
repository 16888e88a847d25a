// Makes what programs load, in dist/: a file for each subpath of the package, a `.cjs` for `require` and a `.js` for `import`,
// which takes everything from the other; the rooms that most programs never enter, loaded by the first call of one of their
// functions; and what the threads of a pool run.
//
// Each module of src is in one of these files, the first of them that needs it. Those behind it take it from there, so that
// there is one state, whatever is loaded and however. It is CommonJS, and few files, because that is loaded soonest
// (docs/decisions/0012). The command line and bundlers have src as it is, in dist/src.
'use strict';
const { writeFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { build } = require('esbuild');

const root = join(__dirname, '..');

/** In this order, so that what comes later takes from what came before. */
const files = {
  ismio: 'src/index.ts',
  pci: null,
  vfio: null,
  'vfio-user': null,
  record: 'src/record/index.ts',
  'record-auto': 'src/record/auto.ts',
  device: 'src/device.ts',
  ism: 'src/ism.ts',
  console: 'src/console.ts',
  block: 'src/block.ts',
  worker: 'src/pool/worker.ts',
};

/** Those that programs ask for by name; the others are the package's own affair. */
const subpaths = ['ismio', 'record', 'record-auto', 'device', 'ism', 'console', 'block'];

/** What the index takes from rooms, as functions that load them. */
const late = {
  'src/pci/diagnose.ts': { file: 'pci', names: ['diagnose'] },
  'src/pci/functions.ts': { file: 'pci', names: ['listFunctions'] },
  'src/vfio/open.ts': { file: 'vfio', names: ['openVfio'] },
  'src/vfio-user/client.ts': { file: 'vfio-user', names: ['openVfioUser'] },
  'src/record/environment.ts': { file: 'record', names: ['recordOpened'] },
  'src/record/operations.ts': { file: 'record', names: ['inspectRecording', 'readRecording'] },
  'src/record/recorder.ts': { file: 'record', names: ['record'] },
  'src/record/replay.ts': { file: 'record', names: ['replay'] },
};

/** By module, the file that has it; and of each file the modules that others take from it. */
const owners = new Map();
const lent = Object.fromEntries(Object.keys(files).map((file) => [file, new Set()]));
for (const [module, { file }] of Object.entries(late)) lent[file].add(module);

const shared = 'ismio.modules';
const from = (file, module) => `load('./${file}.cjs')[Symbol.for('${shared}')]['${module}']`;

/** For one of the files: its entry, and where it takes from others, which are written before it once they are known. */
const rooms = (file, areWritten) => ({
  name: 'rooms',
  setup({ onResolve, onLoad, resolve }) {
    onResolve({ filter: /^entry$/ }, () => ({ path: file, namespace: 'entry' }));
    onResolve({ filter: /^\.{1,2}\// }, async ({ path, importer, namespace, kind, resolveDir, pluginData }) => {
      if (pluginData === 'asked' || namespace === 'entry') return undefined;
      const found = await resolve(path, { importer, kind, resolveDir, pluginData: 'asked' });
      const module = relative(root, found.path);
      if (late[module] !== undefined && relative(root, importer) === 'src/index.ts') {
        return { path: module, namespace: 'late', sideEffects: false };
      }
      const owner = owners.get(module);
      return owner === undefined || owner === file ? undefined : { path: module, namespace: 'other' };
    });
    // The terminal behind a console's screen, which .ci/packages.mjs puts there.
    onResolve({ filter: /^@xterm\// }, ({ path }) => ({
      path: `./packages/${path.replace('@', '').replaceAll('/', '-')}.js`,
      external: true,
    }));
    onLoad({ filter: /.*/, namespace: 'entry' }, () => ({ contents: entryOf(file), resolveDir: root, loader: 'ts' }));
    onLoad({ filter: /.*/, namespace: 'late' }, ({ path }) => ({ contents: callsOf(path) }));
    onLoad({ filter: /.*/, namespace: 'other' }, ({ path }) => {
      const owner = owners.get(path);
      lent[owner].add(path);
      return { contents: areWritten ? takenFrom(owner, path) : `module.exports = ${from(owner, path)};` };
    });
  },
});

/** What the file exports, and beside it, for the other files, the modules that they take. */
function entryOf(file) {
  const entry = files[file];
  const modules = [...lent[file]];
  return [
    entry === null ? '' : `export * from './${entry}';`,
    file === 'worker' ? `export { default } from './${entry}';` : '',
    ...modules.map((module, index) => `import * as module${index} from './${module}';`),
    `Object.defineProperty(module.exports, Symbol.for('${shared}'), { value: {`,
    ...modules.map((module, index) => `  '${module}': module${index},`),
    '} });',
  ].join('\n');
}

/**
 * Each name by itself, as a constant: what is asked of a module's object at every use goes through two functions that every such
 * use has in common, and costs more than much of what is called.
 */
function takenFrom(owner, module) {
  const names = Object.keys(require(join(root, 'dist', `${owner}.cjs`))[Symbol.for(shared)][module]);
  return `export const { ${names.join(', ')} } = ${from(owner, module)};`;
}

function callsOf(module) {
  const { file, names } = late[module];
  return names
    .map((name) => `export function ${name}(...given) { return ${from(file, module)}.${name}(...given); }`)
    .join('\n');
}

function bundle(file, write) {
  return build({
    absWorkingDir: root,
    entryPoints: { [file]: 'entry' },
    bundle: true,
    format: 'cjs',
    packages: 'external',
    platform: 'node',
    target: 'node20',
    // Names stay, for stack traces and profiles; lines stay short enough to be shown.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    define: { 'import.meta.url': 'importMetaUrl' },
    banner: {
      js: `'use strict'; const load = require, importMetaUrl = require('node:url').pathToFileURL(__filename).href;`,
    },
    plugins: [rooms(file, write)],
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    logLevel: 'warning',
    metafile: true,
    write,
  });
}

/** Once to see who has what and who takes it, and once more with that known. */
async function bundleAll() {
  for (const file of Object.keys(files)) {
    const { metafile } = await bundle(file, false);
    for (const input of Object.keys(metafile.inputs)) if (input.startsWith('src/')) owners.set(input, file);
  }
  for (const file of Object.keys(files)) await bundle(file, true);
  for (const name of subpaths) writeFileSync(join(root, 'dist', `${name}.js`), importOf(name));
}

/**
 * What CommonJS requires of Node.js it has as it is; to import it looks at everything that it exports, which loads streams,
 * promises and more that nobody asked for.
 */
function importOf(name) {
  const names = Object.keys(require(join(root, 'dist', `${name}.cjs`)));
  const load = `createRequire(import.meta.url)('./${name}.cjs')`;
  const taken = names.length === 0 ? `${load};` : `export const { ${names.join(', ')} } = ${load};`;
  return `import { createRequire } from 'node:module';\n\n${taken}\n`;
}

bundleAll();
