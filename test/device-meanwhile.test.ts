// Handlers that run in the middle of an access of their own thread: what they may do to it, and what cannot wait for them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { IsmioError, openVfioUser } from 'ismio';
import { type Device, type DeviceDescription, defineDevice, serve } from 'ismio/device';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { patience } from './support/scale.js';

const plain = { vendor: 0x1af4, device: 0x4242, classCode: 0x08_80_00 } as const;

/** A device, its socket, and its driver over that, all of them in this thread. */
async function sameThread(t: TestContext, description: Partial<DeviceDescription>) {
  const device = defineDevice({ ...plain, ...description });
  const path = join(temporaryFolder(t), 'socket');
  const server = await serve(device, { path });
  const driver = openVfioUser(path);
  driver.enableMemory();
  t.after(async () => {
    driver.close();
    await server.close();
    device.close();
  });
  return { device, driver };
}

/** Moves the bytes to another buffer, as a message to another thread does. */
function takeAway(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(structuredClone(bytes.buffer as ArrayBuffer, { transfer: [bytes.buffer as ArrayBuffer] }));
}

function opened(bar: NonNullable<DeviceDescription['regions']>[number]): [Device, ReturnType<Device['open']>] {
  const device = defineDevice({ ...plain, regions: { 0: bar } });
  const driver = device.open();
  driver.enableMemory();
  return [device, driver];
}

test('a write goes on with what it began with where a handler takes its source away', () => {
  const source = new Uint8Array(1024).fill(7);
  const came: number[] = [];
  const [device, driver] = opened({
    size: 4096,
    rules: { maxStoreBlock: 64 },
    storeBlock(_offset, bytes) {
      came.push(...bytes);
      if (source.length > 0) takeAway(source).fill(0xff);
    },
  });
  driver.region(0).write(0, source);
  assert.equal(source.length, 0);
  assert.deepEqual(came, Array<number>(1024).fill(7));
  device.close();
});

test('a read leaves memory alone that a handler took away from it', () => {
  const target = new Uint8Array(1024);
  let taken: Uint8Array = target;
  const [device, driver] = opened({
    size: 4096,
    load() {
      if (target.length > 0) taken = takeAway(target);
      return 0x0101_0101_0101_0101n;
    },
  });
  driver.region(0).read(0, target);
  assert.deepEqual([target.length, taken.length], [0, 1024]);
  assert.ok(taken.every((byte) => byte === 0));
  const whole = new Uint8Array(16);
  driver.region(0).read(0, whole);
  assert.ok(whole.every((byte) => byte === 1));
  device.close();
});

test('a promise that only the waiting thread could settle is refused at once over a socket as well', async (t) => {
  let settle: (value: number) => void = () => undefined;
  const { driver } = await sameThread(t, {
    regions: { 0: { size: 4096, load: () => new Promise<number>((resolve) => (settle = resolve)) } },
    interrupts: { msix: 1 },
  });
  const region = driver.region(0);
  const began = performance.now();
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_DEADLOCK', { errno: 'EDEADLK' });
  const target = new Uint8Array(4);
  const queue = region.queue();
  queue.load(0, target);
  const drained = queue.drain();
  // Behind a promise that others wait for.
  await new Promise((resolve) => setTimeout(resolve, 50));
  throwsCode(() => region.load32(4), IsmioError, 'ERR_ISMIO_DEADLOCK');
  driver.irq('msix').enable();
  driver.irq('msix').disable();
  assert.ok(performance.now() - began < patience(2000), `${performance.now() - began} ms`);
  settle(5);
  await drained;
  assert.equal(target[0], 5);
});

test('a handler that closes the driver whose access it answers ends that access, and nothing waits', async (t) => {
  const begun = { close: (): void => undefined };
  const { driver } = await sameThread(t, {
    regions: {
      0: {
        size: 4096,
        load: () => {
          begun.close();
          return 0;
        },
      },
    },
  });
  begun.close = () => driver.close();
  const region = driver.region(0);
  const began = performance.now();
  assert.throws(() => region.load32(0), IsmioError);
  assert.ok(performance.now() - began < patience(2000));
});

test('a device whose thread is terminated is lost for every driver, also in the middle of an answer', async (t) => {
  const path = join(temporaryFolder(t), 'socket');
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.device).then(async ({ defineDevice, serve }) => {
      const device = defineDevice({ vendor: 0x1af4, device: 1, classCode: 0x088000, regions: { 0: { size: 4096, load() {
        parentPort.postMessage('asked');
        for (;;);
      } } } });
      await serve(device, { path: workerData.path });
      parentPort.postMessage('serves');
    });`,
    { eval: true, workerData: { path, device: import.meta.resolve('ismio/device') } },
  );
  assert.deepEqual(await once(worker, 'message'), ['serves']);
  const driver = openVfioUser(path);
  driver.enableMemory();
  const queue = driver.region(0).queue();
  queue.load(0, new Uint8Array(4));
  const drained = queue.drain();
  assert.deepEqual(await once(worker, 'message'), ['asked']);
  await Promise.all([worker.terminate(), rejectsCode(drained, IsmioError, 'ERR_ISMIO_REGION_LOST')]);
  driver.close();
});

test('a device that is taken away is lost for a driver over a socket: every access, and an event', async (t) => {
  const { device, driver } = await sameThread(t, { regions: { 0: { size: 4096, load: () => 5 } } });
  const region = driver.region(0);
  assert.equal(region.load32(0), 5);
  const lost = once(driver, 'lost');
  const alive = setInterval(() => undefined, 1000); // a connection keeps no process running
  device.close();
  throwsCode(() => region.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST', { reason: 'device' });
  const [error] = (await lost) as [IsmioError];
  clearInterval(alive);
  assert.deepEqual([error.code, error['reason']], ['ERR_ISMIO_REGION_LOST', 'hungUp']);
});
