// The NVMe controller of examples/devices: what its registers do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enabled, registers } from './support/nvme-host.js';
import { openNvme } from './support/nvme-road.js';

const ready = 1;
const fatal = 2;
const shutDown = 2 << 2;
const identify = { opcode: 6, words: [1] };

test('the capabilities are those of a controller with pages of 4096 bytes and queues of 1024 entries', (test) => {
  const { host } = openNvme(test);
  const word = host.bar.load64(0);
  assert.equal(word & 0xffffn, 1023n);
  assert.equal((word >> 16n) & 1n, 1n, 'queues in one piece');
  assert.ok(((word >> 24n) & 0xffn) > 0n, 'a time to become ready');
  assert.equal((word >> 32n) & 0xfn, 0n, 'doorbells of 4 bytes');
  assert.equal((word >> 37n) & 0xffn, 1n, 'the NVM command set');
  assert.equal(word >> 48n, 0n, 'pages of 4096 bytes, no others');
  assert.equal(host.bar.load32(8), 0x0001_0400);
});

test('a controller is ready when it was enabled, and not when it was disabled', async (test) => {
  const { host } = openNvme(test);
  assert.equal(host.status, 0);
  await host.enable();
  assert.equal(host.status, ready);
  await host.disable();
  assert.equal(host.status, 0);
  await host.enable();
  assert.equal((await host.run(0, { ...identify, first: host.address(host.pages(1)) })).status, 0);
});

for (const [what, cc, aqa] of [
  ['another command set', enabled | (1 << 4), 0x001f_001f],
  ['pages of 8192 bytes', enabled | (1 << 7), 0x001f_001f],
  ['weighted arbitration', enabled | (1 << 11), 0x001f_001f],
  ['a submission queue of one entry', enabled, 0x001f_0000],
  ['a completion queue of one entry', enabled, 0x0000_001f],
] as const) {
  test(`${what} is a fatal status, which disabling ends`, async (test) => {
    const { host } = openNvme(test);
    host.bar.store32(registers.aqa, aqa);
    host.bar.store32(registers.cc, cc);
    await host.until((status) => status === fatal);
    host.bar.store32(registers.cc, cc & ~1);
    await host.until((status) => status === 0);
    await host.enable();
  });
}

test('an admin queue that is not in memory is a fatal status when it is rung', async (test) => {
  const { host } = openNvme(test);
  host.bar.store32(registers.aqa, 0x001f_001f);
  host.bar.store64(registers.asq, 0x40_0000_0000n);
  host.bar.store64(registers.acq, 0xffff_ffff_ffff_f000n);
  host.bar.store32(registers.cc, enabled);
  await host.until((status) => status === ready);
  host.bar.store32(0x1000, 1);
  await host.until((status) => (status & fatal) !== 0);
  await host.disable();
  await host.enable();
});

test('a completion that cannot be written is a fatal status', async (test) => {
  const { host } = openNvme(test);
  await host.enable();
  await host.disable();
  host.bar.store64(registers.acq, 0xffff_ffff_ffff_f000n);
  host.bar.store32(registers.cc, enabled);
  await host.until((status) => status === ready);
  host.bar.store32(0x1000, 1);
  await host.until((status) => (status & fatal) !== 0);
});

test('a controller that is no bus master fails when it is rung, and works again after a reset', async (test) => {
  const { host, device } = openNvme(test);
  await host.enable();
  device.enableBusMaster(false);
  host.submit(0, identify);
  await host.until((status) => (status & fatal) !== 0);
  device.enableBusMaster();
  await host.disable();
  await host.enable();
  assert.equal((await host.run(0, { ...identify, first: host.address(host.pages(1)) })).status, 0);
});

for (const [what, bits] of [
  ['normal', 1 << 14],
  ['abrupt', 2 << 14],
] as const) {
  test(`after a ${what} shutdown the status says that it is complete, until the controller is enabled again`, async (test) => {
    const { host } = openNvme(test);
    await host.enable();
    host.bar.store32(registers.cc, enabled | bits);
    await host.until((status) => (status & (3 << 2)) === shutDown);
    await host.disable();
    await host.enable();
    assert.equal(host.status, ready);
  });
}

test('a reset of the function leaves nothing of what was set up', async (test) => {
  const { host, device } = openNvme(test);
  await host.enable();
  host.submit(0, identify);
  device.reset();
  assert.equal(host.status, 0);
  for (const offset of [registers.cc, registers.aqa, registers.asq, registers.acq]) {
    assert.equal(host.bar.load32(offset), 0, `0x${offset.toString(16)}`);
  }
  await host.enable();
});

test('registers that are read only stay, and those that there are not read as zeros', (test) => {
  const { host } = openNvme(test);
  const before = host.bar.load64(0);
  for (const offset of [0, 4, 8, registers.csts, 0x20, 0x38, 0x3c, 0xffc]) host.bar.store32(offset, 0xffff_ffff);
  assert.equal(host.bar.load64(0), before);
  assert.equal(host.bar.load32(8), 0x0001_0400);
  for (const offset of [registers.csts, 0x20, 0x38, 0x3c, 0x40, 0xffc, 0x1000])
    assert.equal(host.bar.load32(offset), 0);
});

test('the queues are at pages: the lower bits of their addresses are not kept', (test) => {
  const { host } = openNvme(test);
  host.bar.store64(registers.asq, 0x1234_5678_9abc_dfffn);
  assert.equal(host.bar.load64(registers.asq), 0x1234_5678_9abc_d000n);
  host.bar.store32(registers.acq, 0x7fff_ffff);
  host.bar.store32(registers.acq + 4, 5);
  assert.equal(host.bar.load64(registers.acq), 0x5_7fff_f000n);
});

test('the interrupt mask is set and cleared by its two registers', (test) => {
  const { host } = openNvme(test);
  host.bar.store32(0x0c, 0b1110);
  host.bar.store32(0x10, 0b0100);
  assert.deepEqual([host.bar.load32(0x0c), host.bar.load32(0x10)], [0b1010, 0b1010]);
});

test('doorbells of a controller that is not ready do nothing', async (test) => {
  const { host } = openNvme(test);
  for (const offset of [0x1000, 0x1004, 0x1008, 0x3ffc]) host.bar.store32(offset, 0xffff_ffff);
  await host.enable();
  assert.equal(host.status, ready);
});
