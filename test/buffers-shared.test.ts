// Memory that JavaScript threads share, and that the engine reads in place: allocBuffer with { shared: true }.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { allocBuffer, emulate, freeBuffer } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { packageRoot, runModule } from './support/child.js';
import { throwsCode } from './support/errors.js';

const mappings = (): number =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('memfd:ismio')).length;

test('shared memory is zeroed, of the size asked for, and seen by the engine without a copy', async () => {
  for (const size of [1, 4096, 65_536, 65_537, 3 * 2 ** 20]) {
    const buffer = allocBuffer(size, { shared: true });
    assert.ok(buffer.buffer instanceof SharedArrayBuffer);
    assert.equal(buffer.length, size);
    assert.ok(buffer.every((byte) => byte === 0));
    using region = emulate({ size: 4 * 2 ** 20 });
    const queue = region.queue();
    queue.write(0, buffer);
    buffer.set(pattern(size));
    queue.submit();
    assert.deepEqual(contents(region, 0, size), pattern(size));
    buffer.fill(0);
    queue.load(0, buffer);
    await queue.drain();
    assert.deepEqual(new Uint8Array(buffer), pattern(size));
    assert.equal(region.stats().copies, 0);
  }
});

/** What a Worker does with the buffer it is posted, as a module's text. */
const inWorker = `
  import { parentPort, workerData } from 'node:worker_threads';
  import { emulate } from 'ismio';
  const region = emulate({ size: 65536 });
  const queue = region.queue();
  queue.write(0, workerData);
  workerData[0] = 77;
  queue.submit();
  parentPort.postMessage({ first: region.load8(0), copies: region.stats().copies, last: region.load8(9999) });
`;

test('a Worker that the buffer is posted to has the same memory, and its queues take it without a copy', async () => {
  const buffer = allocBuffer(10_000, { shared: true });
  buffer[9999] = 5;
  const url = new URL(
    `data:text/javascript,${encodeURIComponent(inWorker.replace("'ismio'", `'file://${packageRoot}dist/ismio.js'`))}`,
  );
  const worker = new Worker(url, { workerData: buffer });
  const [told] = await once(worker, 'message');
  assert.deepEqual(told, { first: 77, copies: 0, last: 5 });
  assert.equal(buffer[0], 77);
  await worker.terminate();
  buffer[1] = 3;
  using region = emulate({ size: 65_536 });
  region.write(0, buffer);
  assert.equal(region.load8(1), 3, 'it outlives the Worker');
});

test('ordinary shared memory is copied still', () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  queue.write(0, new Uint8Array(new SharedArrayBuffer(64)));
  queue.submit();
  assert.equal(region.stats().copies, 1);
});

test('what no thread sees any more is given back: memory, mappings and descriptors', async () => {
  const child = await runModule(
    `
    import { readFileSync, readdirSync } from 'node:fs';
    import { setImmediate } from 'node:timers/promises';
    import { Worker } from 'node:worker_threads';
    import { allocBuffer } from 'ismio';
    const left = () => [
      readFileSync('/proc/self/maps', 'utf8').split('memfd:ismio').length - 1,
      readdirSync('/proc/self/fd').length,
    ];
    const before = left();
    let posted = allocBuffer(65536, { shared: true });
    const text = \`
      import { parentPort } from 'node:worker_threads';
      let kept;
      parentPort.on('message', (message) => {
        if (message !== 'read') kept = message;
        parentPort.postMessage(message === 'read' ? kept[7] : 'has it');
      });\`;
    const worker = new Worker(new URL(\`data:text/javascript,\${encodeURIComponent(text)}\`));
    worker.postMessage(posted);
    await new Promise((resolve) => worker.once('message', resolve));
    posted[7] = 9;
    posted = null;
    for (let i = 0; i < 30; i++) allocBuffer(2 ** 20, { shared: true }).fill(1);
    // When V8 lets go of what it has collected is its own affair; what it has let go of is found at the next of them.
    const comesTo = async (most) => {
      for (let i = 0; i < 100 && left()[0] - before[0] > most; i++) {
        globalThis.gc();
        await setImmediate();
        allocBuffer(1, { shared: true });
      }
      return left()[0] - before[0];
    };
    const held = await comesTo(6);
    worker.postMessage('read');
    const read = await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    console.log(JSON.stringify({ mappings: held, read, after: await comesTo(4) }));
  `,
    { flags: ['--expose-gc'] },
  );
  assert.equal(child.stderr, '');
  const told = JSON.parse(child.stdout);
  assert.ok(told.mappings >= 2 && told.mappings <= 6, `the posted one, and little more: ${child.stdout}`);
  assert.equal(told.read, 9);
  assert.ok(told.after <= 4, child.stdout);
});

test('shared memory is not freed by hand, and no more than one WebAssembly memory has can be had', () => {
  const buffer = allocBuffer(64, { shared: true });
  throwsCode(() => freeBuffer(buffer), RangeError, 'ERR_ISMIO_OPTION');
  throwsCode(() => allocBuffer(2 ** 32 + 1, { shared: true }), RangeError, 'ERR_ISMIO_OPTION', { bytes: 2 ** 32 + 1 });
  throwsCode(() => allocBuffer(64, { shared: 1 as never }), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  throwsCode(() => allocBuffer(64, { share: true } as never), RangeError, 'ERR_ISMIO_OPTION');
});

test('a runtime without WebAssembly is told so', async () => {
  const child = await runModule(
    `
    import { allocBuffer } from 'ismio';
    try { allocBuffer(64, { shared: true }); } catch (error) { console.log(error.code, error.message); }
  `,
    { flags: ['--jitless'] },
  );
  assert.match(child.stdout, /^ERR_ISMIO_RUNTIME .*WebAssembly/);
});

test('memory that cannot be had is an error, and nothing is left of it', () => {
  const before = [mappings(), readdirSync('/proc/self/fd').length];
  for (let i = 0; i < 3; i++) {
    throwsCode(() => allocBuffer(0, { shared: true }), RangeError, 'ERR_ISMIO_OPTION');
  }
  assert.deepEqual([mappings(), readdirSync('/proc/self/fd').length], before);
});
