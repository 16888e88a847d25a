// What a disk is for: partitions, ext4, files, and all of it again by another attachment; without ISM and over it.
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { run } from '../../support/run.js';
import { largeBytes, names, partitionStart, sizes } from '../machine.js';
import {
  attach,
  check,
  checkFiles,
  detach,
  mount,
  mounted,
  node,
  setting,
  sizeOf,
  unmount,
  until,
  writeDurably,
} from './disk.js';

const files = [0, 1, 2, 3];
const part = `${node}p1`;
/** The two ways into the kernel: by netlink, with two connections, and by ioctl. */
const roads = [['-connections', '2'], ['-nonetlink']] as const;

for (const name of names) {
  test(`${name}: the kernel has what the export offers`, { timeout: 100_000 }, async () => {
    assert.equal(await attach(name), sizes[name]);
    const [cache, fua, discards, zeros] = ['write_cache', 'fua', 'discard_max_bytes', 'write_zeroes_max_bytes'].map(
      (what) => readFileSync(join('/sys/class/block/nbd0/queue', what), 'utf8').trim(),
    );
    assert.deepEqual([cache, fua, Number(discards) > 0, Number(zeros) > 0], ['write back', '1', true, true]);
    writeFileSync(node, Buffer.alloc(largeBytes, 9), { flush: true });
    await run('blkdiscard', ['--zeroout', '--length', String(largeBytes - 4096), node]);
    const bytes = Buffer.alloc(largeBytes);
    const file = openSync(node, 'r');
    readSync(file, bytes);
    closeSync(file);
    assert.ok(bytes.equals(Buffer.concat([Buffer.alloc(largeBytes - 4096), Buffer.alloc(4096, 9)])));
    await detach();
  });

  test(`${name}: detached under load, writes fail and nothing hangs; it can be attached again`, {
    timeout: 100_000,
  }, async () => {
    await attach(name, ...roads[0]);
    const blocks = String(sizes[name] / 4096);
    const writing = run('dd', ['if=/dev/zero', `of=${node}`, 'bs=4096', `count=${blocks}`, 'oflag=direct'], {
      seconds: 60,
    });
    const failed = assert.rejects(writing, /Input\/output error/);
    await setTimeout(300);
    await detach();
    await failed;
    assert.equal(await attach(name, ...roads[0]), sizes[name]);
    await detach();
  });

  test(`${name}: partitioned, formatted, mounted, written, trimmed and checked`, { timeout: 100_000 }, async () => {
    assert.equal(await attach(name, ...roads[0]), sizes[name]);
    const answers = ['n', 'p', '1', String(partitionStart / 512), '', 'w', ''].join('\n');
    await run(setting.busybox, ['fdisk', '-u', node], { input: answers });
    await until(() => sizeOf('p1') === sizes[name] - partitionStart, 'the partition is there');
    await run('mkfs.ext4', ['-q', '-F', part]);
    await mount(part);
    for (const index of files) writeDurably(name, index);
    checkFiles(name, files);
    const large = join(mounted, 'large');
    writeFileSync(large, Buffer.alloc(largeBytes, 7), { flush: true });
    rmSync(large);
    // What is free by the journal alone is not trimmed.
    await run('sync', ['--file-system', mounted]);
    await run('fstrim', [mounted]);
    await unmount();
    await check(part);
    await detach();
  });

  test(`${name}: another attachment finds the partition and every file`, { timeout: 100_000 }, async () => {
    assert.equal(await attach(name, ...roads[1]), sizes[name]);
    await until(() => sizeOf('p1') === sizes[name] - partitionStart, 'the partition is found');
    await check(part);
    await mount(part);
    checkFiles(name, files);
    await unmount();
    await detach();
  });
}
