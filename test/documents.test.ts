// What the documents say is true: their programs run, their options are those of the program.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createProgram } from '../src/cli/program.js';
import { packageRoot, runModule } from './support/child.js';
import { ismio } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { commandsOf, referenceOf } from './support/reference.js';

const pages = (readdirSync(join(packageRoot, 'docs'), { recursive: true }) as string[])
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
const documents = ['README.md', 'SECURITY.md', ...pages.sort()];

function textOf(document: string): string {
  return readFileSync(join(packageRoot, document), 'utf8');
}

interface Block {
  readonly document: string;
  readonly line: number;
  /** Behind 'js' where the block begins: 'given=queue', 'needs=a VFIO function', 'suite'. */
  readonly info: string;
  readonly program: string;
}

function blocksOf(document: string): Block[] {
  const text = textOf(document);
  return [...text.matchAll(/^```js *(.*)\n([\s\S]*?)^```$/gm)].map(({ index, 1: info = '', 2: program = '' }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    info,
    program,
  }));
}

/** What a fragment finds there already, by the name that stands behind 'given='. */
const given: Readonly<Record<string, string>> = {
  queue: `import { allocBuffer, emulate } from 'ismio';
    const region = emulate({ size: 2 ** 20 });
    const queue = region.queue({ depth: 16 });
    const offsets = Float64Array.from({ length: 40 }, (_, i) => i * 8);
    const values = new BigUint64Array(40).fill(7n);
    const [offset, source] = [4096, allocBuffer(64)];\n`,
};

describe('the js blocks of the documents', { concurrency: 2 }, () => {
  const blocks = documents.flatMap(blocksOf);

  for (const { document, line, info, program } of blocks) {
    const [kind, what = ''] = info.split('=') as [string, string?];
    const skip = kind === 'needs' && `it needs ${what}`;
    test(`${document}:${line} runs`, { skip }, async (t) => {
      if (kind === 'suite') {
        const suite = join(temporaryFolder(t), 'own.mjs');
        writeFileSync(suite, program);
        const { code, stderr } = await ismio(['bench', '--suite', suite, '--quick', '--list']);
        const { code: all, stderr: said } = await ismio(['bench', '--suite', suite, '--list']);
        assert.ok(code === 0 || all === 0, stderr + said);
        return;
      }
      assert.ok(kind === '' || (kind === 'given' && given[what] !== undefined), `no test knows what ${info} means`);
      const child = await runModule((kind === 'given' ? given[what] : '') + program);
      assert.deepEqual([child.code, child.signal, child.stderr], [0, null, ''], child.stdout);
    });
  }

  test('are found, and some run', () => assert.ok(blocks.filter(({ info }) => info === '').length > 5));
});

test('docs/which.md has every environment variable of the package and its tests', () => {
  const table = textOf('docs/which.md');
  const named = new Set<string>();
  for (const folder of ['src', 'bench', 'test', '.ci']) {
    for (const file of readdirSync(join(packageRoot, folder), { recursive: true }) as string[]) {
      if (!/(\.ts|\.sh|\/run|^run)$/.test(file)) continue;
      const text = readFileSync(join(packageRoot, folder, file), 'utf8');
      for (const [name] of text.matchAll(/\bISMIO_[A-Z_]+\b(?=['=}"])/g)) named.add(name);
      for (const code of ['ISMIO_DROPPED', 'ISMIO_HANDLER', 'ISMIO_UNTOLD']) named.delete(code); // of warnings
    }
  }
  assert.deepEqual(
    [...named].filter((name) => !table.includes(`\`${name}`)),
    [],
  );
});

describe('the command line in the documents', () => {
  const commands = commandsOf(createProgram());

  test('docs/api/cli.md has every option of every command, in the words of --help', () => {
    const reference = referenceOf(createProgram());
    const text = textOf('docs/api/cli.md');
    const begin = text.indexOf('## Every option');
    assert.ok(begin >= 0);
    const end = text.indexOf('\n## ', begin + 1);
    const found = text.slice(begin, end < 0 ? undefined : end + 1);
    if (process.env['ISMIO_UPDATE_DOCS'] === '1') {
      writeFileSync(
        join(packageRoot, 'docs/api/cli.md'),
        text.replace(found, () => reference),
      );
      return;
    }
    assert.equal(found.trim(), reference.trim(), 'ISMIO_UPDATE_DOCS=1 with this test writes it anew');
  });

  test('no document shows a command or an option that the program does not have', () => {
    const wrong: string[] = [];
    for (const document of documents) {
      for (const [line, name = '', rest = ''] of textOf(document).matchAll(/(?:npx|\$|^ +) *ismio ([a-z]+)\b(.*)/gm)) {
        const options = commands.get(name);
        if (options === undefined) wrong.push(`${document}: ${line}`);
        const own = (rest.split(/ -- | #/, 1)[0] as string).matchAll(/(?<=\s)--[a-z][a-z-]*/g);
        for (const [option] of own) if (!options?.has(option)) wrong.push(`${document}: ${line.trim()}: ${option}`);
      }
    }
    assert.deepEqual(wrong, []);
  });
});
