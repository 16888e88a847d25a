// Either side is killed in the middle of traffic, again and again: what is left of it here is nothing.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { allocBuffer, IsmioError, isIsmioError, openVfioUser } from 'ismio';
import { serve } from 'ismio/device';
import { packageRoot } from './support/child.js';
import { throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { killsDevice } from './support/kills-device.js';
import { resources } from './support/resources.js';
import { scaled } from './support/scale.js';

/** Of each side; 500 before a release. */
const kills = Number(process.env['ISMIO_KILLS'] ?? scaled(15));
/** Drivers of the package, and every third time one that posts more than the server can take. */
const clients = ['kills-client.js', 'kills-client.js', 'kills-flood.js'];
/** Descriptors and mappings are counted once the first of them have come and gone. */
const first = Math.min(3, kills - 1);

/** A process of test/support that has said that it is on its way. */
async function begun(program: string, path: string): Promise<ChildProcess> {
  const file = join(packageRoot, 'dist', 'test', 'support', program);
  const child = spawn(process.execPath, [file, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  assert.deepEqual(await closed, [null, 'SIGKILL']);
}

/** Shared memory that is mapped, and descriptors. */
function left(): { descriptors: number; mapped: number } {
  const { descriptors, ours } = resources('memfd:ismio');
  return { descriptors, mapped: ours.length };
}

test('a server outlives clients that are killed, and keeps nothing of theirs', async (t) => {
  const device = killsDevice();
  device.on('error', (error) => assert.ok(isIsmioError(error, 'ERR_ISMIO_DMA'), error)); // of clients that have gone
  const path = join(temporaryFolder(t), 'socket');
  const server = await serve(device, { path });
  let before = left();
  for (let i = 0; i < kills; i++) {
    const gone = once(server, 'gone');
    const client = await begun(clients[i % clients.length] as string, path);
    await setTimeout(i % 7);
    const began = performance.now();
    await Promise.all([killed(client), gone]);
    assert.ok(performance.now() - began < 5000, 'the server notices');
    await setTimeout(2);
    if (i === first) before = left();
  }
  assert.deepEqual(left(), before);
  assert.equal(server.stats().clients, kills);
  await server.close();
  device.open().close();
});

test('a client outlives servers that are killed, and keeps nothing of theirs', async (t) => {
  const path = join(temporaryFolder(t), 'socket');
  const memory = [true, false].map((shared) => allocBuffer(4096, { shared }));
  let before = left();
  for (let i = 0; i < kills; i++) {
    const server = await begun('kills-server.js', path);
    await drive(path, server, memory, i);
    if (i === first) before = left();
  }
  assert.deepEqual(left(), before);
});

/** Accesses until the server is killed, which is while they are made: by a process of its own that waits a little. */
async function drive(path: string, server: ChildProcess, memory: readonly Uint8Array[], turn: number): Promise<void> {
  const driver = openVfioUser(path, { posted: turn % 2 === 0 });
  driver.enableMemory();
  driver.enableBusMaster();
  driver.irq('msix').enable();
  const [registers, mapped] = [driver.region(0), driver.region(2)];
  const addresses = memory.map((buffer) => driver.dmaMap(buffer).iova);
  const lost = once(driver, 'lost');
  const killer = spawn('sh', ['-c', `sleep 0.00${turn % 7}; kill -9 ${server.pid}`], { stdio: 'ignore' });
  const ended = Promise.all([once(server, 'close'), once(killer, 'close')]);
  const began = performance.now();
  const traffic = () => {
    for (;;) {
      for (const address of addresses) registers.store64(8, address);
      mapped.store32(0, 1);
      assert.equal(registers.load32(16), 16);
      assert.ok(performance.now() - began < 5000, 'the client notices');
    }
  };
  throwsCode(traffic, IsmioError, 'ERR_ISMIO_REGION_LOST');
  throwsCode(() => mapped.load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
  await lost;
  driver.close();
  await ended;
}
