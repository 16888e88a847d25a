// The line that says why another program failed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { reasonIn } from '../src/support/reason.js';

/** What Node.js itself says of such a program. */
function nodeSays(program: string): string {
  return spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' }).stderr;
}

const compilation = `> ismio@0.1.0 build
g++ -Wall -Werror -o out/errors.o native/errors.cc
native/errors.cc:12:3: warning: unused variable
native/errors.cc:14:9: error: 'x' was not declared in this scope
make: *** [Makefile:10: out/errors.o] Error 1
npm error code 2
npm error path /tmp/x`;

const cases: readonly [what: string, said: string, reason: string | undefined][] = [
  ['an uncaught error', nodeSays("throw new Error('the reason')"), 'Error: the reason'],
  [
    'one with a code',
    nodeSays("process.chdir('/nonexistent')"),
    "Error: ENOENT: no such file or directory, chdir '/' -> '/nonexistent'",
  ],
  [
    'one of its own class',
    nodeSays("class Mishap extends Error { name = 'Mishap' } throw new Mishap('why')"),
    'Mishap: why',
  ],
  ['a text that was thrown', nodeSays("throw 'just this'"), 'just this'],
  ['a compiler', compilation, "native/errors.cc:14:9: error: 'x' was not declared in this scope"],
  [
    'tsc',
    'src/support/errors.ts(3,5): error TS2304: Cannot find name.\n',
    'src/support/errors.ts(3,5): error TS2304: Cannot find name.',
  ],
  ['a shell', '\n> ismio@0.1.0 build\n> tsc\n\nsh: 1: tsc: not found\n', 'sh: 1: tsc: not found'],
  ['git', 'fatal: not a tree object\n', 'fatal: not a tree object'],
  [
    'npm',
    'npm error code E404\nnpm error path /a\nnpm error 404 Not Found - GET x\nnpm error A complete log of this run can be found in: y',
    'npm error 404 Not Found - GET x',
  ],
  [
    'V8 without memory',
    '<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit\n 1: 0xb8\n',
    'FATAL ERROR: Reached heap limit',
  ],
  ['nothing', '\n', undefined],
];

for (const [what, said, reason] of cases) {
  test(`the reason of ${what}`, () => {
    const found = reasonIn(said);
    if (reason === undefined) assert.equal(found, undefined);
    else assert.ok(found?.startsWith(reason.slice(0, 30)) && found.length >= reason.length, `${found} of ${said}`);
  });
}
