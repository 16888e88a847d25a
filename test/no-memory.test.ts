// When the system gives no more memory or threads: errors, and not the end of the process.
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { runModule } from './support/child.js';

const cannotLimit = process.env['S390X_WRAPPER']
  ? "under a CPU emulator the limits would be the emulator's"
  : spawnSync('prlimit', ['--version']).status !== 0 && 'there is no prlimit';

/**
 * V8's own threads, for compiling and collecting, may come to want memory meanwhile, and would end the process. So would a
 * collection: `limit` has one done first, and then there is room enough for what a program here leaves lying about.
 */
const flags = ['--single-threaded', '--expose-gc'];

/** malloc keeps 16 MiB in hand: Node.js itself ends where a small piece of memory cannot be had. */
const env = { MALLOC_TOP_PAD_: String(2 ** 24) };

/** A program that can limit its own address space to what it has and `slack` bytes, and lift the limit again. */
const program = (body: string): string => `
  import { execFileSync } from 'node:child_process';
  import { readFileSync } from 'node:fs';
  import { allocBuffer, emulate } from 'ismio';
  const setLimit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':unlimited']);
  const limit = (slack) => {
    gc();
    const [, size] = readFileSync('/proc/self/status', 'utf8').match(/VmSize:\\s+(\\d+)/);
    setLimit(Number(size) * 1024 + slack);
  };
  const tell = (act) => {
    try { return act(); } catch ({ name, code, errno }) { return [name, code, errno].join(' '); }
  };
  ${body}`;

test('a drain that gets no thread is rejected, and works when there is one', { skip: cannotLimit }, async () => {
  const child = await runModule(
    program(`
      const region = emulate({ size: 4096 });
      const queue = region.queue();
      const drain = async () => {
        queue.storeWords(0, 1, 1);
        return queue.drain().then(({ stores }) => stores, ({ code, errno, completion }) => [code, errno, completion.issued].join(' '));
      };
      limit(2 ** 29); // half of what a thread's stack needs, and far more than all else does
      console.log(await drain());
      setLimit('unlimited');
      console.log(await drain(), region.stats().stores);
    `),
    { flags, env, through: ['prlimit', `--stack=${2 ** 30}`] },
  );
  assert.equal(child.stdout, 'ERR_ISMIO_SYSTEM EAGAIN 0\n1 1\n', `${child.signal} ${child.stderr}`);
});

test('no memory for an emulated region, its bytes, a queue or a buffer is an error', {
  skip: cannotLimit,
}, async () => {
  const child = await runModule(
    program(`
      const region = emulate({ size: 2 ** 40 });
      region.store8(0, 1);
      const reserve = emulate({ size: 2 ** 30 });
      for (let i = 0; i < 8; i++) reserve.store8(i * 2 ** 21, 1);
      limit(16 * 2 ** 20);
      const stored = tell(() => {
        for (let i = 1; ; i++) region.store8(i * 2 ** 21, 1);
      });
      reserve.close(); // gives back 16 MiB, so that Node.js itself can go on
      const more = [
        () => emulate({ size: 2 ** 48 }),
        () => region.queue({ bytes: 2 ** 30 }),
        () => region.queue({ depth: 2 ** 20 }),
        () => allocBuffer(2 ** 30),
      ].map(tell);
      setLimit('unlimited');
      region.store8(2 ** 30, 5);
      console.log([stored, ...more, region.load8(2 ** 30)].join('\\n'));
    `),
    { flags, env },
  );
  const refusal = 'IsmioError ERR_ISMIO_NO_MEMORY ';
  assert.deepEqual(
    child.stdout.trimEnd().split('\n'),
    [...Array(5).fill(refusal), '5'],
    `${child.signal} ${child.stderr}`,
  );
});

const noLimit = constants.MAX_LENGTH >= 2 ** 40 && 'this Node.js has buffers of any size that there can be';

test('a buffer larger than this Node.js can have is refused', { skip: noLimit }, async () => {
  const child = await runModule(
    program(`console.log([2 ** 32 + 1, 2 ** 33, 2 ** 40].map((bytes) => tell(() => allocBuffer(bytes))).join());`),
  );
  const refusal = 'RangeError ERR_ISMIO_OPTION ';
  assert.equal(child.stdout, `${[refusal, refusal, refusal].join()}\n`, `${child.signal} ${child.stderr}`);
});
