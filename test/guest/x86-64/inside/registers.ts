// edu through VFIO: what opening says of it, its registers, and its configuration space.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IsmioError, openVfio } from 'ismio';
import { throwsCode } from '../../../support/errors.js';
import { places } from '../machine.js';
import { computing, edu, identity } from './edu.js';
import { api } from './setting.js';

test('auto opens the character device where there is an iommufd, else the group', () => {
  using device = openVfio(places.edu);
  assert.equal(device.api, api);
});

test(`${api}: info says what edu is`, () => {
  using device = openVfio(places.edu, { api });
  const { info } = device;
  assert.equal(device.api, api);
  assert.deepEqual([info.vendor, info.device, info.driver], [0x1234, 0x11e8, 'vfio-pci']);
  assert.equal(info.zpci, null);
  assert.equal(info.flags.pci, true);
  assert.equal(info.regions.find(({ name }) => name === 'bar0')?.size, 1n << 20n);
  assert.deepEqual(
    info.irqs.filter(({ count }) => count > 0).map(({ name, count }) => `${name} ${count}`),
    ['intx 1', 'msi 1', 'req 1'],
  );
});

for (const access of ['mmap', 'pread'] as const) {
  test(`${api}, ${access}: edu's identity, liveness and a factorial`, async () => {
    using device = openVfio(places.edu, { api });
    using bar = device.region(0, { access });
    assert.equal(bar.load32(edu.identification), identity);
    bar.store32(edu.liveness, 0x1234_5678);
    assert.equal(bar.load32(edu.liveness), ~0x1234_5678 >>> 0);
    bar.store32(edu.factorial, 10);
    while ((bar.load32(edu.status) & computing) !== 0) await new Promise(setImmediate);
    assert.equal(bar.load32(edu.factorial), 3_628_800);
  });

  test(`${api}, ${access}: a load has the width that was asked for`, () => {
    using device = openVfio(places.edu, { api });
    using bar = device.region(0, { access });
    // Below 0x80 edu answers loads of 4 bytes alone; others get all ones from it.
    const word = new Uint8Array(4);
    bar.read(edu.identification, word);
    assert.equal(new DataView(word.buffer).getUint32(0, true), identity);
    assert.equal(bar.load64(edu.identification), 0xffff_ffff_ffff_ffffn);
  });
}

test(`${api}: configuration space, typed, and the command register's switches`, () => {
  using device = openVfio(places.edu, { api });
  assert.equal(device.config.read16(0), 0x1234);
  assert.equal(device.config.read32(0), 0x11e8_1234);
  const head = new Uint8Array(4);
  device.config.read(0, head);
  assert.deepEqual([...head], [0x34, 0x12, 0xe8, 0x11]);
  assert.equal(device.memory, true);
  assert.equal(device.busMaster, false);
  device.enableBusMaster();
  assert.equal(device.busMaster, true);
  assert.equal(device.config.read16(4) & 4, 4);
  device.enableBusMaster(false);
  assert.equal(device.busMaster, false);
});

test(`${api}: a closed device is closed with all that it gave`, () => {
  const device = openVfio(places.edu, { api });
  const bar = device.region(0);
  device.close();
  throwsCode(() => bar.load32(0), IsmioError, 'ERR_ISMIO_CLOSED');
  using again = openVfio(places.edu, { api });
  assert.equal(again.region(0).load32(edu.identification), identity);
});
