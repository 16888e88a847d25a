// `npm run test:guest` on a host that lacks what the guests need: all of it is named at once, and nothing keeps it from ending.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './guest/support/run.js';
import { need } from './guest/support/tools.js';
import { runModule } from './support/child.js';
import { patience } from './support/scale.js';

/** Far below the ten minutes that a program of the host may take. */
const soon = patience(20_000);

test('every package that is missing is named in one command, before anything is done', async () => {
  const { code, stdout, stderr, milliseconds } = await runModule("await import('./dist/test/guest/main.js');", {
    env: { PATH: '/nowhere' },
  });
  assert.notEqual(code, 0);
  assert.equal(stdout, '', 'no test was begun');
  const [, packages = ''] =
    /Error: the guests need .*: apt-get install --no-install-recommends (.*)/.exec(stderr) ?? [];
  const named = packages.split(' ');
  for (const one of ['qemu-system-x86', 'g++-s390x-linux-gnu', 'gcc', 'cpio', 'zstd']) {
    assert.ok(named.includes(one), `${one} is among ${packages}`);
  }
  assert.equal(new Set(named).size, named.length, 'each once');
  assert.ok(milliseconds < soon, `${milliseconds} ms`);
});

test('files that are needed are named with the package that has them', () => {
  assert.throws(() => need({ sh: 'dash', '/nowhere/lib.so': 'lib-one', 'no-such-program': 'one' }), {
    message: 'the guests need /nowhere/lib.so, no-such-program: apt-get install --no-install-recommends lib-one one',
  });
  need({ sh: 'dash', '/': 'base-files' });
});

test('a program that does not start rejects, and does not keep the process', async () => {
  const source = `
    import { run } from './dist/test/guest/support/run.js';
    await run('no-such-program', []).catch((error) => console.log(error.message));`;
  const { stdout, code, milliseconds } = await runModule(source);
  assert.match(stdout, /^no-such-program did not start/);
  assert.equal(code, 0);
  assert.ok(milliseconds < soon, `${milliseconds} ms`);
});

test('a program that takes longer than it may is ended, and says so', async () => {
  await assert.rejects(run('sleep', ['60'], { seconds: 0.2 }), /ended with SIGKILL, after 0.2 s/);
  assert.equal(await run('cat', [], { input: 'told' }), 'told');
});
