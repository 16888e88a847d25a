// A file system without a page left: a store to a hole of a file loses the region, and says why.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { runModule } from './support/child.js';

/** Whether a process may have file systems of its own here. */
const through = ['unshare', '--user', '--map-root-user', '--mount'];
const cannot =
  spawnSync(through[0] as string, [...through.slice(1), 'mount', '-t', 'tmpfs', 'none', '/mnt']).status !== 0 &&
  'no mounts of its own for a process here';

test('a store to a hole of a file on a full tmpfs loses the region for want of space, not as truncated', {
  skip: cannot,
}, async () => {
  const child = await runModule(
    `
    import { execFileSync } from 'node:child_process';
    import { truncateSync, writeFileSync } from 'node:fs';
    import { mapFile } from 'ismio';
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', '/mnt']);
    writeFileSync('/mnt/holes', '');
    truncateSync('/mnt/holes', 1 << 20);
    const region = mapFile('/mnt/holes');
    let stored = 0;
    try {
      for (; stored < 256; stored++) region.store8(stored * 4096, 1);
    } catch (error) {
      console.log(stored, error.code, error.reason, error.message.includes('truncated'));
    }
  `,
    { through },
  );
  assert.equal(child.stderr, '');
  assert.equal(child.stdout.trim(), '16 ERR_ISMIO_REGION_LOST noSpace false');
});
