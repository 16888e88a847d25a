// Interrupts and the process around them: what keeps it alive, what ends it, and threads that go while interrupts come.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runModule } from './support/child.js';
import { scaled } from './support/scale.js';

/** Interrupts of a device that is not there: `raise(vector, times)` signals them. */
const device = `
  import { writeSync } from 'node:fs';
  import { native } from './dist/src/addon/binding.js';
  import { KernelCalls } from './dist/src/vfio/access.js';
  import { VfioIrq } from './dist/src/vfio/irq.js';
  let fds = [];
  native.vfio.setIrqs = (device, flags, index, start, count, eventfds) => {
    fds = eventfds?.slice() ?? fds;
    return 0;
  };
  const info = { index: 1, name: 'msi', count: 4, maskable: false, autoMasked: false, resizable: true };
  const irq = new VfioIrq(() => new KernelCalls(3), info, '0000:00:04.0');
  const raise = (vector, times = 1) => writeSync(fds[vector], new Uint8Array(BigUint64Array.of(BigInt(times)).buffer));
`;

test('what a handler throws is an uncaught exception each time, and the other vectors are told', async () => {
  const child = await runModule(`${device}
    process.on('uncaughtException', (error) => console.log('uncaught', error));
    irq.on('interrupt', ({ vector, count }) => {
      console.log(vector, count);
      setTimeout(() => (vector === 2 ? irq.disable() : raise(vector + 1, vector + 2)), 20);
      if (vector !== 2) throw 'thrown at ' + vector;
    });
    irq.enable();
    raise(0);
  `);
  const lines = ['0 1', 'uncaught thrown at 0', '1 2', 'uncaught thrown at 1', '2 3', ''];
  assert.deepEqual([child.code, child.signal, child.stdout], [0, null, lines.join('\n')], child.stderr);
});

test('an exception of a handler that nobody catches ends the process, with its message', async () => {
  const child = await runModule(`${device}
    irq.on('interrupt', () => { throw new Error('out of the handler'); });
    irq.enable();
    raise(0);
    setTimeout(() => console.log('still there'), 5000);
  `);
  assert.deepEqual([child.code, child.signal, child.stdout], [1, null, '']);
  assert.match(child.stderr, /Error: out of the handler/);
});

test('promises and ticks of a handler run before the next event', async () => {
  const child = await runModule(`${device}
    irq.on('interrupt', ({ vector }) => {
      console.log('event', vector);
      process.nextTick(() => console.log('tick'));
      Promise.resolve().then(() => console.log('promise'));
      if (vector === 1) setTimeout(() => irq.disable());
    });
    irq.enable();
    raise(0);
    raise(1);
  `);
  assert.deepEqual(
    child.stdout.split('\n'),
    ['event 0', 'tick', 'promise', 'event 1', 'tick', 'promise', ''],
    child.stderr,
  );
});

test('enabled interrupts keep the process running until they are disabled', async () => {
  const child = await runModule(`${device}
    irq.enable();
    setTimeout(() => { console.log('still there'); irq.disable(); }, 50).unref();
    process.on('exit', () => console.log('end'));
  `);
  assert.equal(child.stdout, 'still there\nend\n', child.stderr);
});

for (const order of [
  'irq.enable(); irq.unref();',
  'irq.unref(); irq.enable();',
  'irq.enable(); irq.unref(); irq.enable(2);',
]) {
  test(`after ${order} the process ends by itself`, async () => {
    const child = await runModule(`${device} ${order} process.on('exit', () => console.log('end'));
      setTimeout(() => console.log('kept'), 30_000).unref();`);
    assert.deepEqual([child.code, child.signal, child.stdout], [0, null, 'end\n'], child.stderr);
  });
}

test('interrupts that were unreferenced and referenced again are told, and keep the process running', async () => {
  const child = await runModule(`${device}
    irq.enable();
    irq.unref().ref();
    irq.on('interrupt', ({ count }) => { console.log(count); irq.disable(); });
    setTimeout(() => raise(3, 2), 30).unref();
  `);
  assert.equal(child.stdout, '2\n', child.stderr);
});

test('process.exit in a handler, with interrupts waiting, ends the process with its code', async () => {
  const child = await runModule(`${device}
    irq.on('interrupt', () => process.exit(7));
    irq.enable();
    for (let vector = 0; vector < 4; vector++) raise(vector);
  `);
  assert.deepEqual([child.code, child.signal], [7, null], child.stderr);
});

// The host's shell cannot start a program for another CPU.
const emulated =
  process.env['S390X_WRAPPER'] !== undefined && 'under emulation the limit would be that of the emulator';

test('more vectors than descriptors can be had are refused with the errno, and fewer are enabled after it', {
  skip: emulated,
}, async () => {
  const child = await runModule(
    `${device}
    const many = new VfioIrq(() => new KernelCalls(3), { ...info, count: 2048 }, '0000:00:04.0');
    try { many.enable(); } catch ({ code, errno }) { console.log(code, errno, many.enabled); }
    setTimeout(() => { many.enable(8); console.log(many.enabled); many.disable(); }, 20);
  `,
    { through: ['bash', '-c', 'ulimit -n 128; exec "$0" "$@"'] },
  );
  assert.equal(child.stdout, 'ERR_ISMIO_SYSTEM EMFILE 0\n8\n', child.stderr);
});

/** A thread whose interrupts never cease; \`how\` it ends is up to the test. */
const storm = (how: string) => `
  import { Worker } from 'node:worker_threads';
  const source = ${JSON.stringify(`${device}
    import { parentPort } from 'node:worker_threads';
    let events = 0;
    irq.on('interrupt', () => {
      for (let vector = 0; vector < 4; vector++) raise(vector);
      if (++events === 20) HOW;
    });
    irq.enable();
    raise(0);
  `).replace('HOW', how)};
  const url = new URL('data:text/javascript,' + encodeURIComponent(source.replaceAll('./dist', 'file://' + process.cwd() + '/dist')));
`;

test('threads that are terminated in a storm of interrupts leave the process alone', async () => {
  const times = scaled(20);
  const child = await runModule(`${storm("parentPort.postMessage('in the storm')")}
    for (let i = 0; i < ${times}; i++) {
      const worker = new Worker(url);
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await worker.terminate();
    }
    console.log('alive');
  `);
  assert.deepEqual([child.code, child.signal, child.stdout], [0, null, 'alive\n'], child.stderr);
});

test('a thread that exits, or throws, in a handler ends by itself and leaves the process alone', async () => {
  const exiting = await runModule(`${storm('process.exit(5)')}
    new Worker(url).once('exit', (code) => console.log('exit', code));
  `);
  assert.deepEqual([exiting.code, exiting.signal, exiting.stdout], [0, null, 'exit 5\n'], exiting.stderr);
  const throwing = await runModule(`${storm("(() => { throw new Error('in the storm'); })()")}
    new Worker(url).once('error', ({ message }) => console.log(message)).once('exit', (code) => console.log('exit', code));
  `);
  assert.deepEqual(
    [throwing.code, throwing.signal, throwing.stdout],
    [0, null, 'in the storm\nexit 1\n'],
    throwing.stderr,
  );
});
