// PCI resources through a made-up sysfs.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { IsmioError, info, openResource } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

const bdf = '0000:00:04.0';

function sysfsWith(t: TestContext, files: Readonly<Record<string, Uint8Array>>): { sysfs: string; device: string } {
  const sysfs = temporaryFolder(t);
  const device = join(sysfs, 'bus/pci/devices', bdf);
  mkdirSync(device, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(device, name), bytes);
  return { sysfs, device };
}

test('a BAR is a region of kind device, as large as its resource file', (t) => {
  const { sysfs } = sysfsWith(t, { resource2: new Uint8Array(8192) });
  using region = openResource(bdf, 2, { sysfs, rules: { maxStoreBlock: 128 } });
  assert.equal(region.size, 8192);
  assert.equal(region.kind, 'device');
  assert.equal(region.writable, true);
  assert.match(region.name, /0000:00:04\.0.*2/);
  assert.equal(region.access, info().kernels.resource);
  assert.equal(region.rules.maxStoreBlock, 128);
});

// On s390x a BAR is reached with instructions and system calls that a plain file does not answer.
const plain = info().kernels.cpu === 's390x' ? 'on s390x a made-up resource cannot be accessed' : false;

test('what is stored in a BAR is in its resource file', { skip: plain }, (t) => {
  const { sysfs, device } = sysfsWith(t, { resource0: pattern(4096) });
  using region = openResource(bdf, 0, { sysfs });
  assert.deepEqual(contents(region), pattern(4096));
  region.store64(8, 0x0102030405060708n, 'be');
  region.write(101, Uint8Array.of(9, 8, 7));
  const file = readFileSync(join(device, 'resource0'));
  assert.deepEqual([...file.subarray(8, 16)], [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual([...file.subarray(101, 104)], [9, 8, 7]);
});

test('the name of the function is found in either case', (t) => {
  const sysfs = temporaryFolder(t);
  const device = join(sysfs, 'bus/pci/devices/0000:0a:1f.7');
  mkdirSync(device, { recursive: true });
  writeFileSync(join(device, 'resource5'), new Uint8Array(4096));
  using region = openResource('0000:0A:1F.7', 5, { sysfs, writable: false });
  assert.equal(region.writable, false);
});

test('bursts map the write-combining file', (t) => {
  const { sysfs } = sysfsWith(t, { resource0: new Uint8Array(4096), resource0_wc: new Uint8Array(8192) });
  if (info().kernels.burst === null) {
    throwsCode(() => openResource(bdf, 0, { sysfs, burst: true }), RangeError, 'ERR_ISMIO_OPTION', { burst: true });
    return;
  }
  using region = openResource(bdf, 0, { sysfs, burst: true });
  assert.equal(region.size, 8192);
  assert.equal(region.access, info().kernels.burst);
});

test('a BAR that is not there, or has no size, is refused', (t) => {
  const { sysfs, device } = sysfsWith(t, { resource1: new Uint8Array(0) });
  const path = join(device, 'resource3');
  throwsCode(() => openResource(bdf, 3, { sysfs }), IsmioError, 'ERR_ISMIO_OPEN', { path, errno: 'ENOENT' });
  throwsCode(() => openResource(bdf, 1, { sysfs }), IsmioError, 'ERR_ISMIO_FILE_EMPTY');
  throwsCode(() => openResource('0000:00:05.0', 0, { sysfs }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
});

test('what is no name of a function, and no BAR, is refused before anything is opened', () => {
  for (const name of ['', '00:04.0', '0000:00:04.8', '0000:00:24.0', '../../etc/passwd', '0000:00:04.0/..', 'x']) {
    throwsCode(() => openResource(name, 0), RangeError, 'ERR_ISMIO_OPTION', { bdf: name });
  }
  for (const bar of [-1, 6, 0.5, Number.NaN, 2 ** 53]) {
    throwsCode(() => openResource(bdf, bar), RangeError, 'ERR_ISMIO_OPTION', { bar });
  }
});
