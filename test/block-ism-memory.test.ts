// Memory stays as it is however many requests go through a target and an initiator: what one of them keeps is kept for ever.
// ISMIO_BLOCK_REQUESTS says how many they are: 100_000_000 take some hours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type IsmDisk, memoryDisk } from 'ismio/block';
import { quiet, served } from './support/block.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const size = 2 ** 20;
const depth = 32;
/** Memory is looked at between them. */
const parts = 6;
const given = process.env['ISMIO_BLOCK_REQUESTS'];
const requests = given === undefined ? scaled(60_000) : Number(given.replaceAll('_', ''));

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** What JavaScript holds, and what lies outside for it, once what was let go of has gone. */
async function held(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    gc();
    await setImmediate(); // finalizers come between two turns
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Requests of all kinds, so many in flight. */
async function ask(disk: IsmDisk, count: number): Promise<void> {
  const below = sequence(1);
  let left = count;
  await Promise.all(
    Array.from({ length: depth }, async () => {
      const buffer = new Uint8Array(8192).fill(7);
      while (left-- > 0) {
        const bytes = buffer.subarray(0, [512, 4032, 4096, 8192][below(4)]);
        const offset = 4096 * below(size / 4096 - 1);
        const what = below(32);
        if (what === 0) await disk.flush();
        else if (what === 1) await disk.zero(offset, bytes.length);
        else if (what === 2) await disk.trim(offset, bytes.length);
        else if (what === 3) await disk.extents(offset, bytes.length, 10);
        else if (what < 18) await disk.read(offset, bytes);
        else await disk.write(offset, bytes);
      }
    }),
  );
}

for (const dataDigest of [false, true]) {
  test(`${requests} requests ${dataDigest ? 'with' : 'without'} digests leave nothing behind`, async (t) => {
    const medium = memoryDisk({ size });
    medium.write(0, Buffer.alloc(size, 1));
    await using house = await served({ disk: medium, slots: depth, dataDigest, stream: quiet });
    const disk = await house.open({ stream: quiet }); // a machine that is busy for minutes is not what is tested
    await ask(disk, Math.max(scaled(20_000), requests / 100)); // code is compiled, and buffers are as large as they get
    const resident = process.memoryUsage.rss();
    const windows: number[] = [];
    for (let i = 0; i < parts; i++) {
      const before = await held();
      await ask(disk, requests / parts);
      windows.push((await held()) - before);
    }
    const grown = process.memoryUsage.rss() - resident;
    t.diagnostic(`a sixth of them each: held ${windows.join(', ')} bytes more; resident ${grown} bytes more in all`);
    // What is kept of each request grows in every part; what is compiled meanwhile does not. 12 bytes are less than any object.
    const least = Math.min(...windows);
    assert.ok(least < (12 * requests) / parts, `at least ${least} bytes more are held after each sixth: ${windows}`);
    if (requests >= 1e6) assert.ok(grown < 2 ** 24, `${grown} bytes more are resident`);
    assert.deepEqual([disk.stats().sessions, house.target.stats().breaches, disk.stats().corrupt], [1, 0, 0]);
  });
}
