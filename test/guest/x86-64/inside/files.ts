// The guest's own driver for NVMe on our controller, as people use a disk: a file system, a file, its bytes.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { pattern } from '../../../support/bytes.js';
import { run } from '../../support/run.js';
import { fileSeed, places } from '../machine.js';
import { bind, diskOf, driverOf } from './setting.js';

const bytes = 2 << 20;

test("Linux's nvme driver has the disk: ext4 is made, mounted, written, checked and read again", {
  timeout: 200_000,
}, async () => {
  bind(places.nvme, 'nvme');
  assert.equal(driverOf(places.nvme), 'nvme');
  const node = await diskOf(places.nvme);
  await run('mkfs.ext4', ['-q', '-F', node]);
  mkdirSync('/run/disk');
  await run('mount', ['-t', 'ext4', node, '/run/disk']);
  writeFileSync('/run/disk/file', pattern(bytes, fileSeed));
  await run('umount', ['/run/disk']);
  await run('fsck.ext4', ['-f', '-n', node]);
  await run('mount', ['-t', 'ext4', node, '/run/disk']);
  assert.equal(Buffer.compare(readFileSync('/run/disk/file'), pattern(bytes, fileSeed)), 0);
  await run('umount', ['/run/disk']);
});
