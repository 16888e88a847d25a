// Completion of the command line: what is offered, and that real shells offer it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ismio } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { missing, typedInto } from './support/terminal.js';

/** The words that are offered for the last of these. */
async function offered(words: readonly string[], cwd?: string): Promise<string[]> {
  const { code, stdout, stderr } = await ismio(['complete', '--', ...words], cwd === undefined ? {} : { cwd });
  assert.deepEqual([code, stderr], [0, '']);
  const lines = stdout.trimEnd().split('\n');
  assert.match(lines.pop() ?? '', /^:\d+$/, 'the scripts end at this line');
  return lines.map((line) => line.split('\t', 1)[0] as string);
}

describe('what is offered', () => {
  test('are the commands, and not the hidden one', async () => {
    assert.deepEqual(await offered(['re']), ['report', 'record', 'replay']);
    assert.deepEqual(await offered(['comp']), ['compare', 'completion']);
    assert.deepEqual(await offered(['history', '']), ['add', 'show']);
  });

  test('are the options of the command, and the values of those that have a choice', async () => {
    assert.deepEqual(await offered(['compare', 'a', 'b', '--de']), ['--delta']);
    assert.deepEqual(await offered(['report', 'x', '--format', 'b']), ['bencher']);
    assert.deepEqual(await offered(['completion', '']), ['bash', 'zsh', 'fish']);
  });

  test('are the benchmarks where a workload is wanted', async () => {
    assert.deepEqual(await offered(['profile', 'drain/blocks-4KiB/m']), ['drain/blocks-4KiB/memory']);
  });

  test('are files and folders where one is wanted, a folder with what is in it', async (t) => {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, 'results'));
    writeFileSync(join(cwd, 'results', 'one.json'), '');
    writeFileSync(join(cwd, 'rest.json'), '');
    assert.deepEqual((await offered(['report', 're'], cwd)).sort(), ['rest.json', 'results/']);
    assert.deepEqual(await offered(['report', 'resu'], cwd), ['results/', 'results/one.json']);
    assert.deepEqual(await offered(['bench', '--out', 'results/o'], cwd), ['results/one.json']);
    assert.deepEqual(await offered(['report', 'nowhere/'], cwd), []);
  });
});

/** A folder with the script for a shell. */
async function scriptFor(shell: string, folder: string): Promise<string> {
  const { code, stdout } = await ismio(['completion', shell]);
  assert.equal(code, 0);
  const path = join(folder, `ismio.${shell}`);
  writeFileSync(path, stdout);
  return path;
}

describe('in a shell', () => {
  const noBash = missing('script', 'bash');
  const bash = 'bash --norc --noprofile -i';

  test('bash completes a command and lists options', { skip: noBash }, async (t) => {
    const path = await scriptFor('bash', temporaryFolder(t));
    const commands = await typedInto(bash, [`source ${path}`], { keys: 'ismio his\t', until: /ismio history / });
    assert.match(commands, /ismio history /);
    const option = { keys: 'ismio compare --in\t\t', until: /--instructi/ };
    assert.match(await typedInto(bash, [`source ${path}`], option), /--instruction-tolerance/);
  });

  /** What the script answers where this is typed, and the cursor is behind it. */
  async function replies(path: string, words: readonly string[], cwd?: string): Promise<string[]> {
    const line = words.join(' ').replaceAll(/ ([:=]+)(?: |$)/g, '$1');
    const program = `source "$0"; COMP_LINE=$1; COMP_POINT=${'$'}{#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      _ismio; printf '%s\n' "${'$'}{COMPREPLY[@]}"`;
    const answer = execFileSync('bash', ['-c', program, path, line, ...words], { encoding: 'utf8', cwd });
    return answer.trimEnd().split('\n');
  }

  test('bash has the rest of what readline takes for several words', { skip: missing('bash') }, async (t) => {
    const folder = temporaryFolder(t);
    const path = await scriptFor('bash', folder);
    writeFileSync(join(folder, 'two words.json'), '');
    assert.deepEqual(await replies(path, ['ismio', 'bench', '--format', '=', 'ju']), ['junit']);
    assert.deepEqual(
      await replies(path, ['ismio', 'bench', '--format', '=']),
      await offered(['bench', '--format', '']),
    );
    assert.deepEqual(await replies(path, ['ismio', 'report', 'two\\ w'], folder), ['two words.json']);
    assert.deepEqual(await replies(path, ['ismio', 'report', '"two w'], folder), ['two words.json']);
  });

  test('bash can read the script twice', { skip: missing('bash') }, async (t) => {
    const path = await scriptFor('bash', temporaryFolder(t));
    const { status, stderr } = spawnSync('bash', ['-c', 'source "$0" && source "$0"', path], { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
  });

  const shells = [
    ['bash', bash, noBash, ':'],
    // complete-word: what zsh itself expands at TAB is no affair of the script
    [
      'zsh',
      'zsh -f -i',
      missing('script', 'zsh'),
      "autoload -U compinit && compinit -D -u; bindkey '^I' complete-word",
    ],
  ] as const;
  const substitutions = ['$(touch made) ', '"$(touch made)" ', '--out=$(touch made)=', '`touch made` ', ''];
  for (const [shell, command, skip, first] of shells) {
    test(`${shell} evaluates neither what was typed nor the name of a file`, { skip }, async (t) => {
      const folder = temporaryFolder(t);
      const path = await scriptFor(shell, folder);
      writeFileSync(join(folder, 'named $(touch made)'), '');
      const keys = substitutions.map((typed, i) => {
        return { keys: `ismio report ${typed}na\t\t\x15echo all-$((${i} + 42))\n`, until: new RegExp(`all-${i + 42}`) };
      });
      const shown = await typedInto(command, [`cd ${folder}`, first, `source ${path}`], ...keys);
      for (const { until } of keys) assert.match(shown, until);
      assert.ok(!existsSync(join(folder, 'made')), shown);
    });
  }

  test('fish evaluates neither what was typed nor the name of a file', { skip: missing('fish') }, async (t) => {
    const cwd = temporaryFolder(t);
    const path = await scriptFor('fish', cwd);
    writeFileSync(join(cwd, 'named $(touch made)'), '');
    const program = `source ${path}; for line in $argv; complete --do-complete $line; end`;
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    const lines = substitutions.map((typed) => `ismio report ${typed}na`);
    const shown = execFileSync('fish', ['--no-config', '-c', program, ...lines], { cwd, env, encoding: 'utf8' });
    assert.match(shown, /named/);
    assert.ok(!existsSync(join(cwd, 'made')), shown);
  });

  test('zsh completes a command and an option', { skip: missing('script', 'zsh') }, async (t) => {
    const path = await scriptFor('zsh', temporaryFolder(t));
    const sourced = ['autoload -U compinit && compinit -D -u', `source ${path}`];
    const command = { keys: 'ismio his\t', until: /ismio history/ };
    const option = { keys: '\x15ismio bench --fil\t', until: /--filter/ };
    const shown = await typedInto('zsh -f -i', sourced, command, option);
    assert.match(shown, command.until);
    assert.match(shown, option.until);
  });

  test('fish completes a command and a value', { skip: missing('fish') }, async (t) => {
    const path = await scriptFor('fish', temporaryFolder(t));
    const completed = (line: string): string =>
      execFileSync('fish', ['--no-config', '-c', `source ${path}; complete --do-complete '${line}'`], {
        encoding: 'utf8',
        env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      });
    assert.match(completed('ismio his'), /^history\t/m);
    assert.match(completed('ismio report x --format sm'), /^smaller-is-better/m);
  });
});
