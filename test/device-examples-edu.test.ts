// QEMU's educational device as examples/devices/edu.ts has it, driven by its driver and access by access.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { allocBuffer, type PciDevice } from 'ismio';
import { type EduOptions, edu } from '../examples/devices/edu.js';
import { Edu } from '../examples/devices/edu-driver.js';
import { addressMask, cause, eduMap, ownMemory } from '../examples/devices/edu-registers.js';
import { pattern } from './support/bytes.js';

const quick: EduOptions = { transfer: 1 };
const ones64 = 2n ** 64n - 1n;

function opened(device = edu(quick)): PciDevice {
  const open = device.open();
  open.enableMemory();
  open.enableBusMaster();
  return open;
}

function withResolvers<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

test('edu says what QEMU’s says of itself', () => {
  using device = opened();
  const { config, info } = device;
  assert.deepEqual([info.vendor, info.device, info.classCode], [0x1234, 0x11e8, 0x00ff00]);
  assert.deepEqual([config.read8(8), config.read16(0x2c), config.read16(0x2e)], [0x10, 0x1af4, 0x1100]);
  assert.equal(info.regions.find(({ name }) => name === 'bar0')?.size, 1n << 20n);
  const counts = Object.fromEntries(info.irqs.map(({ name, count }) => [name, count]));
  assert.deepEqual([counts['intx'], counts['msi'], counts['msix'] ?? 0], [1, 1, 0]);
});

for (const by of ['msi', 'intx'] as const) {
  test(`a factorial ends with an interrupt, by ${by}`, async () => {
    using device = opened();
    const driver = new Edu(device, by);
    assert.equal(driver.alive, true);
    const results: number[] = [];
    for (const operand of [0, 1, 5, 12, 13, 33, 34, 0xffff_ffff]) results.push(await driver.factorial(operand));
    // From 13! on modulo 2^32.
    assert.deepEqual(results, [1, 1, 120, 479_001_600, 1_932_053_504, 2_147_483_648, 0, 0]);
    assert.equal(driver.registers.interruptStatus.load(), 0);
    driver.close();
  });

  test(`what is copied into edu's memory comes out of it again, by ${by}`, async () => {
    using device = opened();
    const driver = new Edu(device, by);
    using from = driver.map(allocBuffer(4096));
    using to = driver.map(allocBuffer(4096));
    from.buffer.set(pattern(4096, 3));
    await driver.copyIn(from, 4096);
    await driver.copyOut(to, 4096);
    assert.deepEqual(to.buffer, from.buffer);
    await driver.copyIn(from, 100, 96);
    await driver.copyOut(to, 200, 50);
    const expected = Uint8Array.from(from.buffer);
    expected.set(from.buffer.subarray(0, 100), 96);
    assert.deepEqual(to.buffer.subarray(0, 200), expected.subarray(50, 250));
    driver.close();
  });
}

test('a driver that changes from interrupts by pin to messages finds none from before', async () => {
  using device = opened();
  const first = new Edu(device, 'intx');
  await first.factorial(3);
  first.close();
  const msi = device.irq('msi');
  msi.enable();
  await new Promise(setImmediate);
  assert.equal(msi.signalled, 0);
});

test('a transfer takes 100 ms unless told otherwise, and its registers are locked meanwhile', async () => {
  using device = opened(edu());
  const { dmaSource, dmaTarget, dmaCount, dmaCommand } = eduMap.on(device.region(0));
  using mapping = device.dmaMap(allocBuffer(4096), { limit: addressMask });
  mapping.buffer.fill(0xaa);
  dmaCommand.store(2n);
  assert.equal(dmaCommand.load(), 0n, 'a command that does not start is none');
  dmaSource.store(ownMemory.at);
  dmaTarget.store(mapping.iova);
  dmaCount.store(8n);
  const began = performance.now();
  dmaCommand.write({ start: true, toMemory: true });
  dmaSource.store(1n);
  dmaTarget.store(1n);
  dmaCount.store(1n);
  dmaCommand.store(7n);
  assert.deepEqual(
    [dmaSource.load(), dmaTarget.load(), dmaCount.load(), dmaCommand.load()],
    [ownMemory.at, mapping.iova, 8n, 3n],
  );
  while (dmaCommand.read().start) await new Promise(setImmediate);
  assert.ok(performance.now() - began >= 99);
  assert.deepEqual(mapping.buffer.subarray(0, 9), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0xaa));
  assert.equal(dmaCommand.load(), 2n);
});

test('an address above 28 bits is cut to them', async () => {
  using device = opened();
  const driver = new Edu(device);
  using mapping = device.dmaMap(allocBuffer(4096), { iova: 0x100_0000n });
  mapping.buffer.set(pattern(64, 7));
  const { dmaSource, dmaTarget, dmaCount, dmaCommand } = driver.registers;
  dmaSource.store(0xf00_0000_0100_0000n);
  dmaTarget.store(ownMemory.at);
  dmaCount.store(64n);
  dmaCommand.write({ start: true });
  while (dmaCommand.read().start) await new Promise(setImmediate);
  using target = driver.map(allocBuffer(4096));
  await driver.copyOut(target, 64);
  assert.deepEqual(target.buffer.subarray(0, 64), pattern(64, 7));
  driver.close();
});

const failing: Readonly<
  Record<string, { source: bigint; target: bigint; count: bigint; master?: boolean; error: RegExp }>
> = {
  'from an address that is not mapped': {
    source: 0x800_0000n,
    target: ownMemory.at,
    count: 8n,
    error: /EFAULT/,
  },
  'past the end of its own memory': {
    source: 0x10_0000n,
    target: ownMemory.at + 4090n,
    count: 8n,
    error: /own memory/,
  },
  'before its own memory': { source: 0x10_0000n, target: ownMemory.at - 1n, count: 8n, error: /own memory/ },
  'of more than there is': { source: 0x10_0000n, target: ownMemory.at, count: ones64, error: /own memory/ },
  'by a device that is no bus master': {
    source: 0x10_0000n,
    target: ownMemory.at,
    count: 8n,
    master: false,
    error: /EPERM/,
  },
};
for (const [what, { source, target, count, master = true, error }] of Object.entries(failing)) {
  test(`a transfer ${what} ends as all do, moves nothing, and the device says why`, async () => {
    const { promise: told, resolve: failed } = withResolvers<Error>();
    using device = opened(edu({ ...quick, failed }));
    const { dmaSource, dmaTarget, dmaCount, dmaCommand, interruptStatus, acknowledge } = eduMap.on(device.region(0));
    using mapping = device.dmaMap(allocBuffer(4096), { iova: 0x10_0000n });
    mapping.buffer.fill(0xaa);
    device.enableBusMaster(master);
    dmaSource.store(source);
    dmaTarget.store(target);
    dmaCount.store(count);
    dmaCommand.write({ start: true, interrupt: true });
    assert.match((await told).message, error);
    assert.deepEqual([dmaCommand.load(), interruptStatus.load()], [4n, cause.dma]);
    acknowledge.store(cause.dma);
    device.enableBusMaster();
    dmaSource.store(ownMemory.at);
    dmaTarget.store(mapping.iova);
    dmaCount.store(4096n);
    dmaCommand.write({ start: true, toMemory: true });
    while (dmaCommand.read().start) await new Promise(setImmediate);
    assert.ok(mapping.buffer.every((byte) => byte === 0));
  });
}

test('interrupts are raised with what is stored, once more for nothing, until they are acknowledged', async () => {
  using device = opened();
  const { raise, acknowledge, interruptStatus } = eduMap.on(device.region(0));
  const msi = device.irq('msi');
  msi.enable();
  raise.store(0);
  raise.store(5);
  raise.store(0);
  while (msi.signalled < 2) await new Promise(setImmediate);
  acknowledge.store(4);
  assert.equal(interruptStatus.load(), 1);
  raise.store(0);
  while (msi.signalled < 3) await new Promise(setImmediate);
  acknowledge.store(0xffff_ffff);
  assert.equal(interruptStatus.load(), 0);
  raise.store(0);
  await new Promise(setImmediate);
  assert.equal(msi.signalled, 3);
});

test('an interrupt by pin stays up until it is acknowledged', async () => {
  using device = opened();
  const { raise, acknowledge } = eduMap.on(device.region(0));
  const intx = device.irq('intx');
  intx.enable();
  raise.store(1);
  await once(intx, 'interrupt');
  intx.unmask();
  await once(intx, 'interrupt');
  acknowledge.store(1);
  intx.unmask();
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  assert.equal(intx.signalled, 2);
});

test('a factorial that is asked for while another is computed is not', async () => {
  using device = opened();
  const { factorial, status } = eduMap.on(device.region(0));
  factorial.store(5);
  factorial.store(3);
  assert.deepEqual([factorial.load(), status.read().computing], [5, true]);
  status.store(0xffff_ffff);
  assert.equal(status.load(), 0x81, 'of the status, only the wish for an interrupt is stored');
  status.store(0);
  while (status.read().computing) await new Promise(setImmediate);
  assert.equal(factorial.load(), 120);
});

test('odd accesses get what QEMU gives them', () => {
  using device = opened();
  using bar = device.region(0);
  bar.store32(0x04, 0x1234_5678);
  bar.store64(0x88, 0x1122_3344_5566_7788n);
  assert.deepEqual([bar.load8(0), bar.load16(0), bar.load8(0x80), bar.load16(0x9_0000)], [0, 0, 0, 0]);
  assert.deepEqual([bar.load64(0), bar.load64(0x20), bar.load64(0xa0)], [ones64, ones64, ones64]);
  assert.deepEqual(
    [bar.load32(0x0c), bar.load32(0x60), bar.load32(0x84), bar.load32(0xf_fffc)],
    Array(4).fill(0xffff_ffff),
  );
  assert.equal(bar.load32(0x88), 0x5566_7788);
  bar.store32(0x88, 0x99aa_bbcc);
  assert.equal(bar.load64(0x88), 0x99aa_bbccn, 'a store of the lower half leaves zeros in the upper one');
  bar.store32(0x8c, 1);
  bar.store64(0x00, 1n);
  bar.store8(0x04, 1);
  bar.store16(0x04, 1);
  bar.store64(0x08, 5n);
  bar.store32(0x00, 0);
  bar.store32(0x24, 1);
  assert.equal(bar.load64(0x88), 0x99aa_bbccn);
  assert.deepEqual(
    [bar.load32(0x00), bar.load32(0x04), bar.load32(0x08), bar.load32(0x24)],
    [0x010000ed, 0xedcb_a987, 0, 0],
  );
});

test('a device that is taken away computes and moves nothing more', async () => {
  let failures = 0;
  const shared = edu({ transfer: 1, failed: () => failures++ });
  using device = opened(shared);
  const { factorial, status, dmaCommand } = eduMap.on(device.region(0));
  status.write({ interruptWhenDone: true });
  factorial.store(5);
  dmaCommand.write({ start: true, interrupt: true });
  shared.close();
  await pause(10);
  assert.equal(failures, 0);
  assert.throws(() => status.load(), { code: 'ERR_ISMIO_REGION_LOST' });
});

test('a reset leaves nothing to come', async () => {
  using device = opened();
  const registers = eduMap.on(device.region(0));
  registers.dmaCount.store(8n);
  registers.dmaCommand.write({ start: true, interrupt: true });
  registers.status.write({ interruptWhenDone: true });
  registers.factorial.store(5);
  device.reset();
  device.enableMemory();
  await pause(10);
  assert.deepEqual(
    [
      registers.dmaCommand.load(),
      registers.factorial.load(),
      registers.status.load(),
      registers.interruptStatus.load(),
    ],
    [0n, 0, 0, 0],
  );
});
