// Interrupts: real eventfds in the event loop, signalled by a kernel that stands in for Linux.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { IsmioError } from '../src/support/errors.js';
import type { Interrupt, Interrupts } from '../src/vfio/interrupts.js';
import { openVfio } from '../src/vfio/open.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { interruptedFunction, StandInKernel } from './support/kernel.js';
import { irqFlags } from './support/kernel-structs.js';
import { patience, scaled } from './support/scale.js';

const bdf = '0000:00:04.0';
const { eventfd, maskable, autoMasked, noResize } = irqFlags;

function install(t: TestContext) {
  const irqs = [
    { index: 0, count: 1, flags: eventfd | maskable | autoMasked },
    { index: 1, count: 8, flags: eventfd },
    { index: 2, count: 64, available: 5 },
  ];
  const kernel = StandInKernel.install(t, { functions: [{ bdf, irqs }] });
  return { kernel, device: kernel.closing(openVfio(bdf, kernel.paths)) };
}

function heard(irq: Interrupts): Interrupt[] {
  const interrupts: Interrupt[] = [];
  irq.on('interrupt', (interrupt) => interrupts.push(interrupt));
  return interrupts;
}

const sum = (interrupts: readonly Interrupt[], vector: number): number =>
  interrupts.reduce((total, one) => (one.vector === vector ? total + one.count : total), 0);

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await setTimeout(5);
}

test('each interrupt is an event with its vector, and those between two turns are counted together', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const interrupts = heard(msi);
  msi.enable(4);
  assert.equal(msi.enabled, 4);
  kernel.interrupt(1, 2);
  await until(() => interrupts.length > 0);
  kernel.interrupt(1, 3, 5);
  kernel.interrupt(1, 3);
  await until(() => sum(interrupts, 3) === 6);
  assert.deepEqual(interrupts, [
    { vector: 2, count: 1 },
    { vector: 3, count: 6 },
  ]);
  assert.equal(msi.signalled, 7);
});

test('a device gives the same interrupts each time they are asked for, and refuses those it has not', (t) => {
  const { device } = install(t);
  assert.equal(device.irq('msi'), device.irq('msi'));
  const error = throwsCode(() => device.irq('err'), RangeError, 'ERR_ISMIO_OPTION', { irq: 'err' });
  assert.match(error.message, /intx, msi, msix/);
});

test('of a storm from another thread no interrupt is lost, and the event loop keeps turning', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const interrupts = heard(msi);
  const times = scaled(100_000);
  let eventfds: Int32Array = new Int32Array(0);
  kernel.replace('setIrqs', (_device, _flags, _index, _start, _count, given) => {
    eventfds = given?.slice() ?? eventfds;
    return 0;
  });
  msi.enable(2);
  let longest = 0;
  let last = performance.now();
  const ticker = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const one = 'new Uint8Array(BigUint64Array.of(1n).buffer)';
  const storm = new Worker(
    `const { workerData: [fds, times] } = require('node:worker_threads');
     const { writeSync } = require('node:fs');
     for (let i = 0; i < times; i++) writeSync(fds[i % 2], ${one});`,
    { eval: true, workerData: [eventfds, times] },
  );
  await new Promise((resolve) => storm.once('exit', resolve));
  await until(() => msi.signalled === times);
  clearInterval(ticker);
  assert.equal(msi.signalled, times);
  assert.equal(sum(interrupts, 0), Math.ceil(times / 2));
  assert.equal(sum(interrupts, 1), Math.floor(times / 2));
  assert.ok(longest < patience(1000), `a turn of ${longest} ms`);
  t.diagnostic(`${times} signals in ${interrupts.length} events, longest turn ${longest.toFixed(1)} ms`);
});

test('an async iteration takes every count, also those that come while its body runs', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  msi.enable(3);
  const taken: Interrupt[] = [];
  const iteration = (async () => {
    for await (const interrupt of msi) {
      taken.push(interrupt);
      await setTimeout(1);
    }
  })();
  for (let round = 0; round < 50; round++) {
    for (let vector = 0; vector < 3; vector++) kernel.interrupt(1, vector, vector + 1);
    await setImmediate();
  }
  await until(() => msi.signalled === 300);
  await until(() => sum(taken, 0) + sum(taken, 1) + sum(taken, 2) === 300);
  msi.disable();
  await iteration;
  assert.deepEqual([sum(taken, 0), sum(taken, 1), sum(taken, 2)], [50, 100, 150]);
});

test('a consumer that is slow has one count for each vector waiting, and takes them after disable too', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  msi.enable(3);
  const iterator = msi[Symbol.asyncIterator]();
  for (let i = 0; i < 20; i++) {
    kernel.interrupt(1, 2);
    kernel.interrupt(1, 0, 3);
    await setImmediate();
  }
  await until(() => msi.signalled === 80);
  msi.disable();
  const left = [await iterator.next(), await iterator.next(), await iterator.next()];
  const values = left.map(({ done, value }) => (done ? 'done' : `${value.vector}: ${value.count}`));
  assert.deepEqual(values.sort(), ['0: 60', '2: 20', 'done']);
});

test('every iteration gets every interrupt, and one that is left gets none', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  msi.enable(1);
  const [one, other, left] = [0, 1, 2].map(() => msi[Symbol.asyncIterator]());
  const pending = [one?.next(), one?.next(), other?.next()];
  await left?.return?.();
  kernel.interrupt(1, 0);
  assert.deepEqual(await pending[0], { done: false, value: { vector: 0, count: 1 } });
  assert.deepEqual(await pending[2], { done: false, value: { vector: 0, count: 1 } });
  assert.deepEqual(await left?.next(), { done: true, value: undefined });
  kernel.interrupt(1, 0, 2);
  assert.deepEqual(await pending[1], { done: false, value: { vector: 0, count: 2 } }, 'a second taker, in turn');
});

test('disable ends the iterations that wait, and one that is begun when nothing is enabled ends at once', async (t) => {
  const { device } = install(t);
  const msi = device.irq('msi');
  for await (const _ of msi) assert.fail('nothing is enabled');
  msi.enable();
  const waiting = msi[Symbol.asyncIterator]().next();
  device.close();
  assert.deepEqual(await waiting, { done: true, value: undefined });
});

test('after disable no event comes, whatever was signalled before it', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const interrupts = heard(msi);
  msi.enable(8);
  for (let vector = 0; vector < 8; vector++) kernel.interrupt(1, vector);
  msi.disable();
  msi.disable();
  await setTimeout(20);
  assert.deepEqual(interrupts, []);
  assert.equal(msi.enabled, 0);
});

test('a handler may disable its interrupts or close the device: the vectors behind it are told no more', async (t) => {
  for (const end of ['disable', 'close'] as const) {
    const { kernel, device } = install(t);
    const msi = device.irq('msi');
    const interrupts = heard(msi);
    msi.on('interrupt', () => (end === 'close' ? device.close() : msi.disable()));
    msi.enable(8);
    for (let vector = 0; vector < 8; vector++) kernel.interrupt(1, vector);
    await until(() => interrupts.length > 0);
    await setTimeout(20);
    assert.equal(interrupts.length, 1, end);
    assert.equal(device.closed, end === 'close');
  }
});

test('a handler may enable anew, with other vectors', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const interrupts = heard(msi);
  msi.once('interrupt', () => msi.enable(2));
  msi.enable(1);
  kernel.interrupt(1, 0);
  await until(() => msi.enabled === 2);
  kernel.interrupt(1, 1, 4);
  await until(() => interrupts.length === 2);
  assert.deepEqual(interrupts.at(-1), { vector: 1, count: 4 });
});

test('a vector that is masked holds its interrupts back until it is unmasked', async (t) => {
  const { kernel, device } = install(t);
  const intx = device.irq('intx');
  const interrupts = heard(intx);
  intx.enable();
  intx.mask();
  kernel.interrupt(0, 0, 3);
  await setTimeout(10);
  assert.deepEqual(interrupts, []);
  intx.unmask();
  await until(() => interrupts.length > 0);
  assert.deepEqual(interrupts, [{ vector: 0, count: 3 }]);
});

test('trigger goes through the kernel and comes back as an interrupt', async (t) => {
  const { device } = install(t);
  const msi = device.irq('msi');
  const interrupts = heard(msi);
  msi.enable(3);
  msi.trigger(2);
  await until(() => interrupts.length > 0);
  assert.deepEqual(interrupts, [{ vector: 2, count: 1 }]);
});

test('what the kernel refuses has its errno: mask where nothing masks, anything before enable', (t) => {
  const { device } = install(t);
  const msi = device.irq('msi');
  const values = { call: 'VFIO_DEVICE_SET_IRQS', irq: 'msi' };
  throwsCode(() => msi.trigger(), IsmioError, 'ERR_ISMIO_VFIO', { ...values, errno: 'EINVAL' });
  msi.enable();
  throwsCode(() => msi.mask(), IsmioError, 'ERR_ISMIO_VFIO', { ...values, errno: 'ENOTTY' });
});

test('vectors that there are not are refused before the kernel is asked', (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  for (const wrong of [0, 9, -1, 1.5, Number.NaN]) throwsCode(() => msi.enable(wrong), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => msi.enable('1' as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  for (const act of ['mask', 'unmask', 'trigger'] as const) {
    for (const wrong of [8, -1, 0.5]) throwsCode(() => msi[act](wrong), RangeError, 'ERR_ISMIO_OPTION');
  }
  assert.equal(kernel.calls.includes('setIrqs'), false);
});

for (const [what, refuse, values] of [
  ['more vectors than the system can give', () => undefined, { available: 5, vectors: 64 }],
  [
    'interrupts that the kernel refuses',
    (kernel: StandInKernel) => kernel.refuse('setIrqs', constants.errno.EBUSY),
    { errno: 'EBUSY' },
  ],
] as const) {
  test(`${what} are not enabled, and leave no eventfd behind`, async (t) => {
    const { kernel, device } = install(t);
    await setTimeout(5);
    const before = readdirSync('/proc/self/fd').length;
    refuse(kernel);
    const msix = device.irq('msix');
    throwsCode(() => msix.enable(), IsmioError, 'ERR_ISMIO_VFIO', values);
    assert.equal(msix.enabled, 0);
    await setTimeout(5);
    assert.equal(readdirSync('/proc/self/fd').length, before);
    for await (const _ of msix) assert.fail('nothing is enabled');
  });
}

test('as many vectors as the system can give are enabled after that', (t) => {
  const { device } = install(t);
  const msix = device.irq('msix');
  throwsCode(() => msix.enable(6), IsmioError, 'ERR_ISMIO_VFIO', { available: 5 });
  msix.enable(5);
  assert.equal(msix.enabled, 5);
});

/** Interrupts of one kind: those to which the kernel can add vectors, as MSI-X since Linux 6.5, and those to which it cannot. */
function grown(t: TestContext, resizable: boolean) {
  const irqs = [{ index: 2, count: 8, flags: resizable ? eventfd : eventfd | noResize, available: 6 }];
  const kernel = StandInKernel.install(t, { functions: [{ bdf, irqs }] });
  const msix = kernel.closing(openVfio(bdf, kernel.paths)).irq('msix');
  assert.equal(msix.info.resizable, resizable);
  return { kernel, msix, interrupts: heard(msix) };
}

test('vectors are added without touching those that are enabled: what they were signalled is told', async (t) => {
  const { kernel, msix, interrupts } = grown(t, true);
  msix.enable(2);
  const iterator = msix[Symbol.asyncIterator]();
  for (let round = 0; round < 20; round++) kernel.interrupt(2, round % 2);
  const before = kernel.calls.length;
  msix.enable(5);
  assert.deepEqual(kernel.calls.slice(before), ['setIrqs'], 'nothing is disabled');
  kernel.interrupt(2, 1);
  kernel.interrupt(2, 4, 3);
  await until(() => msix.signalled === 24);
  assert.deepEqual([sum(interrupts, 0), sum(interrupts, 1), sum(interrupts, 4)], [10, 11, 3]);
  assert.equal((await iterator.next()).done, false, 'an iteration that was begun before goes on');
});

test('where the kernel cannot add vectors, those before are signalled once more, and what they had is told', async (t) => {
  const { kernel, msix, interrupts } = grown(t, false);
  msix.enable(2);
  kernel.interrupt(2, 0, 7);
  msix.enable(4);
  kernel.interrupt(2, 3);
  await until(() => msix.signalled === 10);
  assert.deepEqual(
    [0, 1, 2, 3].map((vector) => sum(interrupts, vector)),
    [8, 1, 0, 1],
  );
  const before = kernel.calls.length;
  msix.enable(3);
  msix.enable(4);
  assert.deepEqual(kernel.calls.slice(before), ['setIrqs', 'setIrqs'], 'the kernel has four set up: none is disabled');
  kernel.interrupt(2, 3);
  await until(() => msix.signalled === 11);
});

for (const resizable of [true, false]) {
  const how = resizable ? 'in place' : 'anew';
  test(`more vectors than there are, enabled ${how}, are refused, and those before stay enabled`, async (t) => {
    const { kernel, msix, interrupts } = grown(t, resizable);
    msix.enable(2);
    kernel.interrupt(2, 1, 4);
    const error = throwsCode(() => msix.enable(7), IsmioError, 'ERR_ISMIO_VFIO');
    if (!resizable) assert.equal(error.available, 6);
    assert.equal(msix.enabled, 2);
    kernel.interrupt(2, 1);
    await until(() => sum(interrupts, 1) >= 5);
    msix.enable(6);
    assert.equal(msix.enabled, 6);
  });
}

test('vectors that cannot be enabled anew, nor as before, are all off, and both refusals are told', async (t) => {
  const { kernel, msix } = grown(t, false);
  msix.enable(2);
  const waiting = msix[Symbol.asyncIterator]().next();
  const { EIO, ENOMEM } = constants.errno;
  const answers = [0, -ENOMEM, -EIO];
  kernel.replace('setIrqs', () => answers.shift() ?? 0);
  const error = throwsCode(() => msix.enable(4), IsmioError, 'ERR_ISMIO_VFIO', { irq: 'msix' });
  const told = (error.cause as AggregateError).errors as IsmioError[];
  assert.deepEqual(
    told.map(({ errno }) => errno),
    ['ENOMEM', 'EIO'],
  );
  assert.equal(msix.enabled, 0);
  assert.equal((await waiting).done, true);
});

test('fewer vectors leave those that stay as they are, and the others without an eventfd', async (t) => {
  const { kernel, msix, interrupts } = grown(t, true);
  msix.enable(4);
  kernel.interrupt(2, 0, 2);
  kernel.interrupt(2, 3, 2);
  msix.enable(2);
  kernel.interrupt(2, 3);
  kernel.interrupt(2, 1);
  await until(() => msix.signalled === 3);
  assert.deepEqual(
    [0, 1, 2, 3].map((vector) => sum(interrupts, vector)),
    [2, 1, 0, 0],
  );
  const before = kernel.calls.length;
  msix.enable(2);
  assert.equal(kernel.calls.length, before, 'as they are already');
});

test('a disable that the kernel refuses leaves them enabled, and is tried again by the next', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const interrupts = heard(msi);
  msi.enable(2);
  kernel.refuse('setIrqs', constants.errno.EINTR);
  throwsCode(() => msi.disable(), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EINTR' });
  assert.equal(msi.enabled, 2);
  kernel.interrupt(1, 1);
  await until(() => interrupts.length > 0);
  kernel.refuse('setIrqs', 0);
  msi.disable();
  assert.equal(msi.enabled, 0);
  throwsCode(() => msi.trigger(), IsmioError, 'ERR_ISMIO_VFIO', { errno: 'EINVAL' });
});

test('a vector has events, iterations and counts of its own', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const third = msi.vector(3);
  assert.equal(third, msi.vector(3));
  assert.equal(third.enabled, false);
  for await (const _ of third) assert.fail('it is not enabled');
  const interrupts = heard(third);
  msi.enable(4);
  assert.equal(third.enabled, true);
  const iterator = third[Symbol.asyncIterator]();
  kernel.interrupt(1, 2, 9);
  kernel.interrupt(1, 3, 2);
  await until(() => msi.signalled === 11);
  assert.deepEqual(interrupts, [{ vector: 3, count: 2 }]);
  assert.deepEqual([third.signalled, msi.vector(2).signalled, msi.signalled], [2, 9, 11], 'since it was enabled');
  assert.deepEqual(await iterator.next(), { done: false, value: { vector: 3, count: 2 } });
  msi.enable(3);
  assert.deepEqual([third.enabled, (await iterator.next()).done], [false, true]);
  for (const wrong of [8, -1, 0.5]) throwsCode(() => msi.vector(wrong), RangeError, 'ERR_ISMIO_OPTION');
});

test('a handler of all vectors that disables them keeps the vector from being told', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const told = heard(msi.vector(0));
  msi.once('interrupt', () => msi.disable());
  msi.enable(1);
  kernel.interrupt(1, 0);
  await until(() => msi.enabled === 0);
  await setTimeout(5);
  assert.deepEqual(told, []);
});

test('a wait ends with the next interrupt, of any vector or of one', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  msi.enable(3);
  const [any, second] = [msi.wait(), msi.vector(1).wait()];
  kernel.interrupt(1, 0);
  assert.deepEqual(await any, { vector: 0, count: 1 });
  kernel.interrupt(1, 1, 2);
  assert.deepEqual(await second, { vector: 1, count: 2 });
});

test('a wait ends with its signal, and with the interrupts that it waits for', async (t) => {
  const { device } = install(t);
  const msi = device.irq('msi');
  await rejectsCode(msi.wait(), IsmioError, 'ERR_ISMIO_CLOSED');
  msi.enable(3);
  await rejectsCode(msi.vector(5).wait(), IsmioError, 'ERR_ISMIO_CLOSED');
  const error = await rejectsCode(msi.wait({ signal: AbortSignal.timeout(5) }), IsmioError, 'ERR_ISMIO_ABORTED');
  assert.equal((error.cause as Error).name, 'TimeoutError');
  const gone = rejectsCode(msi.vector(2).wait({ signal: AbortSignal.abort(1) }), IsmioError, 'ERR_ISMIO_ABORTED');
  assert.equal((await gone).cause, 1);
  const waits = [msi.wait(), msi.vector(2).wait({ signal: new AbortController().signal })];
  device.close();
  for (const wait of waits) await rejectsCode(wait, IsmioError, 'ERR_ISMIO_CLOSED');
  await rejectsCode(msi.wait({ signal: 1 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  await rejectsCode(msi.wait({ timeout: 1 } as never), RangeError, 'ERR_ISMIO_OPTION');
});

test('waitSync takes what was signalled before, holds the thread until something is, and tells the listeners as well', async (t) => {
  const { kernel, device } = install(t);
  const msi = device.irq('msi');
  const vector = msi.vector(1);
  throwsCode(() => vector.waitSync(1), IsmioError, 'ERR_ISMIO_CLOSED');
  msi.enable(2);
  const interrupts = heard(msi);
  const ofVector = heard(vector);
  kernel.interrupt(1, 1, 3);
  assert.deepEqual(vector.waitSync(0), { vector: 1, count: 3 });
  assert.deepEqual([interrupts, ofVector], [[{ vector: 1, count: 3 }], [{ vector: 1, count: 3 }]]);
  const began = performance.now();
  assert.equal(vector.waitSync(30), null, 'nothing was signalled');
  assert.ok(performance.now() - began >= 29);
  kernel.interrupt(1, 0);
  assert.equal(vector.waitSync(0), null, 'another vector');
  assert.equal(vector.signalled, 3);
  await until(() => interrupts.length > 1);
  assert.deepEqual(interrupts.at(-1), { vector: 0, count: 1 }, 'which the event loop tells');
  msi.disable();
  throwsCode(() => vector.waitSync(1), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => vector.waitSync(-1), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => vector.waitSync('1' as never), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
});

test('a Worker that waits in waitSync is terminated at once, not when the time is over', async (t) => {
  const kernel = StandInKernel.install(t, { functions: [interruptedFunction] });
  const worker = new Worker(new URL('./support/waiter.js', import.meta.url), { workerData: { trees: kernel.trees } });
  const said: unknown[] = [];
  worker.on('message', (message) => said.push(message));
  await once(worker, 'message');
  await setTimeout(50);
  assert.deepEqual(said, ['waits']);
  const began = performance.now();
  await worker.terminate();
  assert.ok(performance.now() - began < patience(5000));
});
