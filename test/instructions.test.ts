// How the instruction counts come about, on a program that compiles in a moment; bench/checks/instructions.ts counts the
// real scenarios.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { instructionsOf } from '../bench/instructions.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-instructions-'));
const cache = join(folder, 'cache');
process.env['XDG_CACHE_HOME'] = cache;
after(() => rmSync(folder, { recursive: true }));

/** A package whose program has the scenarios 'add/some' and 'add/more', the second with ten times the work. */
function packageWith(name: string, measured: string): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'bench', 'native'), { recursive: true });
  mkdirSync(join(root, 'native'));
  writeFileSync(
    join(root, 'bench', 'native', 'Makefile'),
    '$(OUT)/instructions: instructions.cc\n\t$(CXX) -O1 -o $@ $<\n',
  );
  const source = `#include <cstdio>
#include <cstring>
extern "C" __attribute__((noinline)) void ismioMeasured(int n) { ${measured} }
int main(int, char** arguments) {
  if (std::strcmp(arguments[1], "--list") == 0) return std::puts("add/some 100\\nadd/more 1000"), 0;
  if (std::strcmp(arguments[1], "--perf") == 0) return std::fputs("no counter here\\n", stderr), 3;
  ismioMeasured(std::strcmp(arguments[1], "add/more") == 0 ? 1000 : 100);
}
`;
  writeFileSync(join(root, 'bench', 'native', 'instructions.cc'), source);
  return root;
}

const loop = 'for (volatile int i = 0; i < n; i = i + 1) {}';

function missingTool(): string | false {
  const lacking = ['g++', 'make', 'valgrind'].filter((tool) => {
    try {
      execFileSync(tool, ['--version'], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  return lacking.length > 0 && `not installed: ${lacking.join(', ')}`;
}

const skip = missingTool();

test('counts what is measured, the same twice, and compiles once', { skip }, async () => {
  const root = packageWith('good', loop);
  const first = await instructionsOf(root);
  assert.ok('counts' in first);
  const [some, more] = first.counts;
  assert.deepEqual([some?.name, some?.operations, more?.name, more?.operations], ['add/some', 100, 'add/more', 1000]);
  const ratio = (more?.instructions ?? 0) / (some?.instructions ?? 1);
  assert.ok(ratio > 9 && ratio < 10, `ten times the work took ${ratio} times the instructions`);
  const programs = readdirSync(join(cache, 'ismio', 'instructions'));
  assert.deepEqual(await instructionsOf(root), first);
  assert.deepEqual(readdirSync(join(cache, 'ismio', 'instructions')), programs);
});

test('counts the scenarios asked for only', { skip }, async () => {
  const found = await instructionsOf(packageWith('part', loop), /more$/);
  assert.ok('counts' in found);
  assert.deepEqual(
    found.counts.map(({ name }) => name),
    ['add/more'],
  );
});

test('another source is another program', { skip }, async () => {
  const [lean, fat] = await Promise.all([
    instructionsOf(packageWith('lean', loop), /some/),
    instructionsOf(packageWith('fat', `${loop} ${loop}`), /some/),
  ]);
  assert.ok('counts' in lean && 'counts' in fat);
  const [one, two] = [lean.counts[0]?.instructions ?? 0, fat.counts[0]?.instructions ?? 0];
  assert.ok(two > one * 1.9, `${two} against ${one}`);
});

test('says why there are no counts', { skip }, async () => {
  const none = join(folder, 'none');
  assert.deepEqual(await instructionsOf(none), { missing: `${none} has no bench/native/instructions.cc` });

  const broken = await instructionsOf(packageWith('broken', 'this is no C++'));
  assert.match('missing' in broken ? broken.missing : '', /bench\/native of .*broken does not compile: .*error/);
  assert.ok(!readdirSync(join(cache, 'ismio', 'instructions')).some((name) => name.startsWith('compiling-')));

  const perf = await instructionsOf(packageWith('perf', loop), /some/, 'perf');
  assert.deepEqual(perf, { missing: 'no counter here' });

  const path = process.env['PATH'];
  process.env['PATH'] = folder;
  try {
    const found = await instructionsOf(packageWith('tools', loop));
    assert.deepEqual(found, { missing: 'valgrind is not on the PATH: install valgrind' });
  } finally {
    process.env['PATH'] = path;
  }
});
