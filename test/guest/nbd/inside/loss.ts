// What becomes of a disk in use whose server goes: without ISM the kernel is told, and nothing hangs; over ISM it never hears of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { run } from '../../support/run.js';
import { asked, type Name, sizes } from '../machine.js';
import { attach, check, checkFiles, detach, mount, node, sizeOf, unmount, until, writeDurably } from './disk.js';

/** Files that were on the medium when it was lost. */
const kept: number[] = [];

for (const [how, line, first] of [
  ['ends', asked.end, 10],
  ['is killed', asked.kill, 110],
] as const) {
  test(`file: its server ${how} under load: writes fail and nothing hangs; attached again, what was acknowledged is there`, {
    timeout: 100_000,
  }, async () => {
    await attach('file', '-connections', '2');
    if (kept.length === 0) await run('mkfs.ext4', ['-q', '-F', node]);
    await mount(node);
    const failed = await load('file', first, 4, line, 100, kept);
    assert.ok(failed !== null, 'a write failed');
    assert.match(failed, /^(EIO|EROFS)$/);
    await unmount();
    await detach();
    console.log(asked.again);
    await attach('file');
    await repaired();
    await mount(node);
    checkFiles('file', kept);
    await unmount();
    await detach();
  });
}

test('file: served again at another size, the kernel has that size, and the file system grows into it', {
  timeout: 100_000,
}, async () => {
  console.log(asked.grow);
  // The server that goes may still be met.
  for (let size = 0; size !== sizes.grown; await setTimeout(100)) {
    size = await attach('file');
    if (size !== sizes.grown) await detach();
  }
  await run('e2fsck', ['-f', '-y', node]);
  await run('resize2fs', [node]);
  await check(node);
  await mount(node);
  checkFiles('file', kept);
  await unmount();
  await detach();
});

test('ism: its target is killed and started again under load: no write fails, and every file is there', {
  timeout: 100_000,
}, async () => {
  const all: number[] = [];
  await attach('ism', '-connections', '2');
  await until(() => sizeOf('p1') > 0, 'the partition is found');
  await mount(`${node}p1`);
  assert.equal(await load('ism', 10, 4, asked.killTarget, 18, all), null);
  await unmount();
  await check(`${node}p1`);
  await detach();
  await attach('ism');
  await until(() => sizeOf('p1') > 0, 'the partition is found');
  await mount(`${node}p1`);
  checkFiles('ism', all);
  await unmount();
  await detach();
});

/**
 * Writes files one by one; asks the host for something when so many are there.
 * @param done is added what is on the medium
 * @returns the errno of the write that failed, or null
 */
async function load(name: Name, first: number, before: number, line: string, most: number, done: number[]) {
  for (let index = 0; index < most; index++) {
    if (index === before) console.log(line);
    try {
      writeDurably(name, first + index);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      return code;
    }
    done.push(first + index);
    await setTimeout(1);
  }
  return null;
}

/** What its journal has is put in its place, which is all that there is to mend. */
async function repaired(): Promise<void> {
  await run('sh', ['-c', 'e2fsck -p "$0" || [ $? = 1 ]', node]);
  await check(node);
}
