// Why a device cannot be opened, or a buffer not mapped: the kernel's own refusals.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { allocBuffer, IsmioError, openVfio, Pool } from 'ismio';
import { runModule } from '../../../support/child.js';
import { throwsCode } from '../../../support/errors.js';
import { places } from '../machine.js';
import { api, bind, driverOf, sysfs } from './setting.js';

const groupOf = (bdf: string) => basename(readlinkSync(sysfs(bdf, 'iommu_group')));

/** Does something with the rights of a user who has none. */
function asNobody<T>(act: () => T): T {
  process.seteuid?.(65_534);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
  }
}

test('a function that is not there is no device', () => {
  throwsCode(() => openVfio('0000:00:1e.7'), IsmioError, 'ERR_ISMIO_NOT_A_DEVICE');
});

test('a path that is no VFIO group is no device', (t) => {
  const dev = mkdtempSync(join(tmpdir(), 'dev-'));
  t.after(() => rmSync(dev, { recursive: true }));
  mkdirSync(join(dev, 'vfio'));
  writeFileSync(join(dev, 'vfio', groupOf(places.edu)), '');
  throwsCode(() => openVfio(places.edu, { api: 'group', dev }), IsmioError, 'ERR_ISMIO_NOT_A_DEVICE');
});

test('a function with no driver, or with one that is not of VFIO, is not bound', () => {
  assert.equal(driverOf(places.shared), null);
  assert.equal(driverOf(places.neighbour), 'virtio-pci');
  for (const bdf of [places.shared, places.neighbour]) {
    throwsCode(() => openVfio(bdf, { api }), IsmioError, 'ERR_ISMIO_NOT_BOUND');
  }
});

test('a group is not viable while a neighbour has a driver of its own', (t) => {
  bind(places.shared, 'vfio-pci');
  t.after(() => bind(places.neighbour, 'virtio-pci'));
  const error = throwsCode(() => openVfio(places.shared, { api: 'group' }), IsmioError, 'ERR_ISMIO_GROUP_NOT_VIABLE');
  assert.ok(error.message.includes(places.neighbour), error.message);
  bind(places.neighbour, 'vfio-pci');
  using device = openVfio(places.shared, { api: 'group' });
  using neighbour = openVfio(places.neighbour, { api: 'group' });
  assert.notEqual(device.info.device, neighbour.info.device);
});

test(`${api}: who may not open the nodes is told which, and EACCES`, () => {
  const open = () => openVfio(places.edu, { api });
  const refuse = () => throwsCode(open, IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EACCES' });
  assert.match(String(asNobody(refuse).path), /^\/dev\/vfio\//);
});

test(`${api}: a device that another process has is busy`, async () => {
  using _device = openVfio(places.edu, { api });
  const ended = await runModule(`
      import { openVfio } from 'ismio';
      try { openVfio('${places.edu}', { api: '${api}' }); } catch (error) { console.log(error.code); }`);
  assert.equal(ended.stdout, 'ERR_ISMIO_DEVICE_BUSY\n', ended.stderr);
});

test(`${api}: a mapping that a worker still uses keeps a closed device busy`, async () => {
  const device = openVfio(places.ivshmem, { api });
  const pool = new Pool({ threads: 1 });
  const control = new Int32Array(new SharedArrayBuffer(8));
  const worker = pool.run(
    (_regions, { args: [words] }) => {
      Atomics.store(words as Int32Array, 0, 1);
      Atomics.wait(words as Int32Array, 1, 0);
    },
    { regions: [device.region(2)], args: [control] },
  );
  while (Atomics.load(control, 0) === 0) await pause(1);
  device.close();
  throwsCode(() => openVfio(places.ivshmem, { api }), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
  Atomics.store(control, 1, 1);
  Atomics.notify(control, 1);
  await worker;
  await pool.close();
  openVfio(places.ivshmem, { api }).close();
});

test(`${api}: more locked memory than this user may have is refused, and less is mapped after that`, (t) => {
  using device = openVfio(places.edu, { api });
  limitLockedMemory(t, 64 << 10);
  const tooMuch = () => device.dmaMap(allocBuffer(1 << 20));
  asNobody(() => throwsCode(tooMuch, IsmioError, 'ERR_ISMIO_DMA_LIMIT', { errno: 'ENOMEM' }));
  using mapping = asNobody(() => device.dmaMap(allocBuffer(16 << 10)));
  assert.equal(mapping.length, 16 << 10);
});

test('group: the entry after the last that dma_entry_limit allows is refused, until one is unmapped', (t) => {
  const limit = '/sys/module/vfio_iommu_type1/parameters/dma_entry_limit';
  const usual = readFileSync(limit, 'utf8');
  writeFileSync(limit, '3');
  t.after(() => writeFileSync(limit, usual));
  using device = openVfio(places.edu, { api: 'group' });
  const [first] = [1, 2, 3].map(() => device.dmaMap(allocBuffer(4096)));
  const act = () => device.dmaMap(allocBuffer(4096));
  throwsCode(act, IsmioError, 'ERR_ISMIO_DMA_LIMIT', { errno: 'ENOSPC' });
  first?.unmap();
  act();
});

if (api === 'cdev') {
  test('opened through its group, a device is busy for cdev, and the other way round', () => {
    const open = (by: 'group' | 'cdev') => () => openVfio(places.edu, { api: by });
    const device = open('group')();
    throwsCode(open('cdev'), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
    device.close();
    using _other = open('cdev')();
    throwsCode(open('cdev'), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
    throwsCode(open('group'), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
  });
}

/** Limits the memory that this process may lock, for one test. */
function limitLockedMemory(t: TestContext, bytes: number): void {
  const set = (value: string) => execFileSync('prlimit', ['--pid', String(process.pid), `--memlock=${value}`]);
  const usual = execFileSync('prlimit', [
    '--pid',
    String(process.pid),
    '--memlock',
    '--noheadings',
    '--raw',
    '-o',
    'SOFT,HARD',
  ]);
  set(String(bytes));
  t.after(() => set(usual.toString().trim().replace(/\s+/, ':')));
}
