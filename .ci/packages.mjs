// Puts what the command line and the benchmarks use of other packages into dist/packages/, with their licences, and has
// dist/src and dist/bench import it from there, and the tests with them: whoever embeds the library installs none of them.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

process.chdir(join(import.meta.dirname, '..'));
const installed = Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).dependencies);
const out = 'dist/packages';

/** `from 'name'` and `import('name')` of a package. */
const imported = /(\bfrom\s*|\bimport\s*\(\s*)(['"])([a-z@][^'":]*)\2/g;

/** Whether it is neither this package nor one that is installed with it. */
function isCarried(name) {
  return !['ismio', ...installed].some((one) => name === one || name.startsWith(`${one}/`));
}

function nameOfFile(name) {
  return name.replace('@', '').replaceAll('/', '-');
}

const texts = ['dist/src', 'dist/bench', 'dist/test']
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
  .filter((path) => path.endsWith('.js'))
  .map((path) => ({ path, text: readFileSync(path, 'utf8') }));

const carried = new Set(
  texts
    .filter(({ path }) => !path.startsWith('dist/test/'))
    .flatMap(({ text }) => [...text.matchAll(imported)].map((match) => match[3]))
    .filter(isCarried),
);

/** The exports by their names, as Node.js finds them in CommonJS as well. */
const entries = {
  name: 'entries',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^carried:/ }, ({ path }) => ({ path: path.slice('carried:'.length), namespace: 'carried' }));
    onLoad({ filter: /.*/, namespace: 'carried' }, async ({ path }) => {
      const { default: whole, ...named } = await import(path);
      const names = Object.keys(named).filter((name) => name !== 'module.exports');
      const lines = [
        `import * as all from '${path}';`,
        `export const { ${names.join(', ')} } = all;`,
        // A bundler has no default where CommonJS says of itself that it was a module; Node.js has all of it there.
        whole === undefined ? '' : 'export default all.default ?? all;',
      ];
      return { contents: lines.join('\n'), resolveDir: process.cwd() };
    });
  },
};

rmSync(out, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: Object.fromEntries([...carried].map((name) => [nameOfFile(name), `carried:${name}`])),
  outdir: out,
  bundle: true,
  splitting: true,
  chunkNames: 'shared-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  // Some are CommonJS, and require modules of Node.js.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  plugins: [entries],
  logLevel: 'warning',
  metafile: true,
});

for (const { path, text } of texts) {
  const changed = text.replaceAll(imported, (whole, before, quote, name) => {
    if (!carried.has(name)) return whole;
    return `${before}${quote}${relative(dirname(path), join(out, `${nameOfFile(name)}.js`))}${quote}`;
  });
  if (changed !== text) writeFileSync(path, changed);
}

/** The folder of the package that a file is of. */
const folders = new Set(
  Object.keys(metafile.inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
);
const licences = [...folders].sort().map((folder) => {
  const { name, version, license, author, repository } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const by = [author?.name ?? author, repository?.url ?? repository].filter((one) => one !== undefined).join(', ');
  const text = file === undefined ? `It has no text of its licence. By ${by}.` : readFileSync(join(folder, file), 'utf8');
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
});
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'LICENCES.txt'), licences.join(`\n${'-'.repeat(80)}\n\n`));
