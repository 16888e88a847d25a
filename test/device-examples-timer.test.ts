// The timer of examples/devices, driven by its driver.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { timer, timerIds, timerMap, vector } from '../examples/devices/timer.js';
import { Timer } from '../examples/devices/timer-driver.js';

test('the timer says what it is', () => {
  using device = timer().open();
  assert.deepEqual([device.info.vendor, device.info.device], [timerIds.vendor, timerIds.device]);
  assert.equal(device.info.irqs.find(({ name }) => name === 'msix')?.count, 2);
});

test('a sleep is over when its time has gone by on the clock of the device, not before', async () => {
  using device = timer().open();
  const driver = new Timer(device);
  const before = driver.time;
  await driver.sleep(20);
  assert.ok(driver.time - before >= 20);
  driver.close();
});

test('each period is a tick with the count of all, until the iteration is left; then the timer stands still', async () => {
  using device = timer().open();
  const driver = new Timer(device);
  const counts: number[] = [];
  for await (const { count } of driver.ticks(5)) {
    counts.push(count);
    if (counts.length === 5) break;
  }
  assert.ok(
    counts.every((count, i) => count > (counts[i - 1] ?? 0)),
    counts.join(),
  );
  const { control, count, left } = timerMap.on(device.region(0));
  assert.deepEqual(control.read(), { enable: false, periodic: false });
  assert.equal(left.load(), 0n);
  const last = count.load();
  await pause(20);
  assert.equal(count.load(), last);
  driver.close();
});

test('a driver that is late is told that it missed ticks, and none is missing in the count', async () => {
  using device = timer().open();
  const driver = new Timer(device);
  const told: boolean[] = [];
  let total = 0;
  const began = performance.now();
  for await (const { count, missed } of driver.ticks(2)) {
    told.push(missed);
    total = count;
    if (told.length === 3) break;
    const until = performance.now() + 20;
    while (performance.now() < until); // the thread of the device and of the driver is one: both are late
  }
  assert.ok(told.slice(1).every(Boolean), told.join());
  assert.ok(total >= 20 && total <= (performance.now() - began) / 2, `${total}`);
  driver.close();
});

test('what was missed has a vector of its own', async () => {
  using device = timer().open();
  device.enableMemory();
  device.enableBusMaster();
  const { control, period, status } = timerMap.on(device.region(0));
  const msix = device.irq('msix');
  msix.enable();
  period.store(1_000_000n);
  control.write({ enable: true, periodic: true });
  await once(msix.vector(vector.missed), 'interrupt'); // `expired` is never cleared
  assert.deepEqual(status.read(), { expired: true, missed: true });
  assert.ok(msix.vector(vector.expired).signalled >= 1);
  status.write({ missed: true });
  assert.equal(status.read().expired, true);
});

test('a timer without a period cannot be enabled', async () => {
  using device = timer().open();
  const driver = new Timer(device);
  await assert.rejects(driver.sleep(0), /takes no period of 0 ms/);
  driver.close();
});

test('a timer that loses its period while it runs stands still', async () => {
  using device = timer().open();
  device.enableMemory();
  const { control, period, count } = timerMap.on(device.region(0));
  period.store(1_000_000n);
  control.write({ enable: true, periodic: true });
  while (count.load() === 0) await pause(1);
  period.store(0n);
  assert.deepEqual(control.read(), { enable: false, periodic: true });
});

test('a timer that is taken away expires no more', async () => {
  const shared = timer();
  using device = shared.open();
  device.enableMemory();
  const { control, period } = timerMap.on(device.region(0));
  period.store(1_000_000n);
  control.write({ enable: true, periodic: true });
  shared.close();
  await pause(10);
  assert.throws(() => control.load(), { code: 'ERR_ISMIO_REGION_LOST' });
});

test('what is left gets less, and a reset stops all', async () => {
  using device = timer().open();
  device.enableMemory();
  const { control, period, left, time, identity } = timerMap.on(device.region(0));
  period.store(10n ** 12n);
  control.write({ enable: true });
  const before = left.load();
  await pause(5);
  const now = left.load();
  assert.ok(now < before && before < 10n ** 12n, `${before} ${now}`);
  assert.ok(time.load() >= 5_000_000n);
  device.reset();
  device.enableMemory();
  assert.deepEqual([control.load(), period.load(), left.load()], [0, 0n, 0n]);
  assert.equal(identity.load(), 0x524d4954);
});

test('the next driver finds a timer that stands still', () => {
  const shared = timer();
  const first = shared.open();
  first.enableMemory();
  const registers = timerMap.on(first.region(0));
  registers.period.store(10n ** 15n);
  registers.control.write({ enable: true, periodic: true });
  first.close();
  using second = shared.open();
  second.enableMemory();
  assert.equal(timerMap.on(second.region(0)).control.load(), 0);
});
