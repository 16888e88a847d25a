// A device that is served: what clients get, what the program is told, and what is left when either goes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { allocBuffer } from '../src/access/memory.js';
import type { DeviceDescription } from '../src/device/description.js';
import { type Device, defineDevice } from '../src/device/device.js';
import { IsmioError } from '../src/support/errors.js';
import { openVfioUser } from '../src/vfio-user/client.js';
import { type ServeOptions, serve, type VfioUserServer } from '../src/vfio-user/server.js';
import { packageRoot, runModule } from './support/child.js';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { patience } from './support/scale.js';
import { command, pack, RawClient } from './support/vfio-user-client.js';

const { EIO, EBUSY } = constants.errno;
const ids = { vendor: 0x1af4, device: 0x4242, classCode: 0x08_80_00 } as const;

interface Registers {
  readonly device: Device;
  readonly server: VfioUserServer;
  readonly stored: [offset: number, value: number | bigint, width: number][];
}

/** Registers that read as they were written; 0x100 throws, 0x200 takes a promise, 0x300 moves memory by DMA. */
async function served(t: TestContext, more: Partial<DeviceDescription> = {}, options: Partial<ServeOptions> = {}) {
  const values = new Map<number, number | bigint>();
  const stored: Registers['stored'] = [];
  const moved = Buffer.alloc(8);
  const device = defineDevice({
    ...ids,
    regions: {
      0: {
        size: 4096,
        load: (offset, width) => {
          if (offset === 0x100) throw new Error('no such register');
          const value = values.get(offset) ?? 0;
          const shown = width === 8 ? BigInt(value) : value;
          return offset === 0x200 ? setTimeout(10, shown) : shown;
        },
        store: (offset, value, width) => {
          if (offset === 0x100) throw new Error('no such register');
          values.set(offset, value);
          stored.push([offset, value, width]);
          if (offset !== 0x300) return;
          device.dma.read(BigInt(value), moved);
          device.dma.write(BigInt(value) + 0x1000n, moved.reverse());
        },
      },
      2: { size: 8192, memory: allocBuffer(8192, { shared: true }) },
    },
    interrupts: { msix: 4 },
    ...more,
  });
  device.on('error', () => undefined);
  const path = join(temporaryFolder(t), 'socket');
  const server = await serve(device, { path, ...options });
  t.after(async () => {
    await server.close();
    device.close();
  });
  return { device, server, stored, path };
}

describe('a device that is served', () => {
  test('answers as its description says, in its own byte order', async (t) => {
    const { path, stored } = await served(t);
    const client = await (await RawClient.connect(path)).start();
    const config = await client.read(7, 0n, 64);
    assert.deepEqual([config.body.readUInt16LE(16), config.body.readUInt16LE(18)], [ids.vendor, ids.device]);
    assert.equal((await client.write(0, 0x10n, Buffer.from([1, 2, 3, 4]))).errno, 0);
    assert.deepEqual(stored, [[0x10, 0x04030201, 4]]);
    assert.deepEqual([...(await client.read(0, 0x10n, 4)).body.subarray(16)], [1, 2, 3, 4]);
    assert.equal((await client.write(2, 0n, Buffer.from('memory'))).errno, 0);
    assert.equal((await client.read(2, 0n, 6)).body.subarray(16).toString(), 'memory');
    assert.equal((await client.read(0, 0x100n, 4)).errno, EIO);
    await client.close();
  });

  test('takes a block apart into stores where it has no handler for blocks, and promises in turn', async (t) => {
    const { path, stored } = await served(t);
    const client = await (await RawClient.connect(path)).start();
    await client.write(0, 0x14n, Buffer.alloc(14, 1));
    assert.deepEqual(
      stored.map(([offset, , width]) => [offset, width]),
      [
        [0x14, 4],
        [0x18, 8],
        [0x20, 2],
      ],
    );
    await client.write(0, 0x200n, Buffer.from([7, 0, 0, 0]));
    const both = [client.read(0, 0x200n, 4), client.read(0, 0x14n, 4)];
    assert.equal((await Promise.race(both)).body.readUInt8(16), 7);
    assert.equal((await both[1])?.body.readUInt8(16), 1);
    await client.close();
  });

  test("reads and writes its client's memory, by messages where that came without a descriptor", async (t) => {
    const { path, device } = await served(t);
    const failed = once(device, 'error');
    // In a process of its own: a handler waits for the client.
    const ended = await runModule(`
      import { command, pack, RawClient } from './dist/test/support/vfio-user-client.js';
      const client = await (await RawClient.connect(${JSON.stringify(path)})).start();
      const memory = Buffer.alloc(0x2000);
      memory.write('abcdefgh', 0x80);
      client.onAsked = ({ command: what, body }) => {
        const view = new DataView(body.buffer, body.byteOffset);
        const little = ${endianness() === 'LE'};
        const [address, count] = [0, 8].map((at) => Number(view.getBigUint64(at, little)));
        if (what === command.dmaRead) return pack(body.subarray(0, 16), memory.subarray(address, address + count));
        body.copy(memory, address, 16);
        return new Uint8Array(0);
      };
      const told = [(await client.call(command.dmaMap, pack(32, 3, 0n, 0n, 0x2000n))).errno];
      const le = (value) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes; };
      told.push((await client.write(0, 0x300n, le(0x80))).errno, (await client.write(0, 0x300n, le(0x4000))).errno);
      console.log(told.join(), memory.toString('latin1', 0x1080, 0x1088));
      await client.close();`);
    assert.deepEqual([ended.stdout, ended.stderr], [`0,0,${EIO} hgfedcba\n`, '']);
    const [error] = (await failed) as [IsmioError];
    assert.deepEqual([error.code, error.errno], ['ERR_ISMIO_DMA', 'EFAULT']);
  });

  test('tells of clients, and of what failed that they wanted no reply to', async (t) => {
    const { path, server, device } = await served(t);
    const opened = once(device, 'open');
    const came = once(server, 'client');
    const client = await (await RawClient.connect(path)).start();
    assert.deepEqual(await came, [{ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() }]);
    assert.equal(server.client?.pid, process.pid);
    await opened;
    const refused = once(server, 'refused');
    client.post(command.regionWrite, pack(0x100n, 0, 4, 1));
    assert.deepEqual(await refused, [{ errno: 'EIO' }]);
    const [gone, closed] = [once(server, 'gone'), once(device, 'close')];
    await client.close();
    await Promise.all([gone, closed]);
    assert.equal(server.client, null);
    const { clients, refused: count, turnedAway, bytesWritten } = server.stats();
    assert.deepEqual([clients, count, turnedAway, bytesWritten], [1, 1, 0, 2]);
  });

  test('has one driver at a time, on whichever road it comes', async (t) => {
    const { path, server, device } = await served(t);
    const first = await RawClient.connect(path);
    const second = await RawClient.connect(path, false);
    assert.equal((await second.call(command.version, pack([0], [1]))).errno, EBUSY);
    await rejectsCode((async () => device.open())(), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
    const gone = once(device, 'close');
    await first.close();
    await gone;
    const driver = device.open();
    const third = await RawClient.connect(path, false);
    assert.equal((await third.call(command.version, pack([0], [1]))).errno, EBUSY);
    driver.close();
    const fourth = await (await RawClient.connect(path)).start();
    assert.equal((await fourth.read(0, 0n, 4)).errno, 0);
    assert.equal(server.stats().turnedAway, 2);
    await Promise.all([second.close(), third.close(), fourth.close()]);
  });

  test('starts anew for each client: what one set up is gone for the next', async (t) => {
    const { path, device } = await served(t);
    const first = await (await RawClient.connect(path)).start();
    await first.call(command.dmaMap, pack(32, 3, 0n, 0n, 0x1000n));
    const gone = once(device, 'close');
    await first.close();
    await gone;
    const second = await RawClient.connect(path);
    assert.equal((await second.read(0, 0n, 4)).errno, EIO); // memory decode is off
    assert.equal((await second.call(command.dmaMap, pack(32, 3, 0n, 0n, 0x1000n))).errno, 0);
    await second.close();
  });
});

describe('a server', () => {
  test('makes its socket with the rights that were asked for, and takes it away', async (t) => {
    const { path, server } = await served(t);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await server.close();
    assert.ok(!existsSync(path));
    const other = await served(t, {}, { mode: 0o666 });
    assert.equal(statSync(other.path).mode & 0o777, 0o666);
    const { path: shown } = other.server;
    assert.equal(shown, other.path);
  });

  test('is refused where another listens, or something else is, and says so', async (t) => {
    const { path, device } = await served(t);
    const taken = await rejectsCode(serve(device, { path }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EADDRINUSE' });
    assert.match(taken.message, /a server listens there/);
    const file = join(temporaryFolder(t), 'file');
    writeFileSync(file, '');
    await rejectsCode(serve(device, { path: file }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EEXIST' });
    await rejectsCode(serve(device, { path: '/no/such/folder/s' }), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
  });

  test('checks its options', async () => {
    const device = defineDevice(ids);
    await rejectsCode(serve(device, { path: 'x'.repeat(108) }), RangeError, 'ERR_ISMIO_OPTION');
    await rejectsCode(serve(device, { path: '' }), RangeError, 'ERR_ISMIO_OPTION');
    await rejectsCode(serve(device, { path: 's', mode: 0o1777 }), RangeError, 'ERR_ISMIO_OPTION');
    await rejectsCode(serve(device, { path: 's', maxDmaMaps: 65_536 }), RangeError, 'ERR_ISMIO_OPTION');
    await rejectsCode(serve(device, { path: 's', maxDmaMaps: 0 }), RangeError, 'ERR_ISMIO_OPTION');
    const misspelt: Record<string, unknown> = { path: 's', maxDmaMap: 1 };
    await rejectsCode(serve(device, misspelt as unknown as ServeOptions), RangeError, 'ERR_ISMIO_OPTION');
    const reason = new Error('over');
    const stopped = await rejectsCode(
      serve(device, { path: 's', signal: AbortSignal.abort(reason) }),
      IsmioError,
      'ERR_ISMIO_ABORTED',
    );
    assert.equal(stopped.cause, reason);
    device.close();
    await rejectsCode(serve(device, { path: 's' }), IsmioError, 'ERR_ISMIO_CLOSED');
  });

  test('is closed by its signal, and lets go of its client', async (t) => {
    const controller = new AbortController();
    const { path, server } = await served(t, {}, { signal: controller.signal });
    const came = once(server, 'client');
    const client = await RawClient.connect(path);
    await came;
    const [gone, closed] = [once(server, 'gone'), once(client.socket, 'close')];
    controller.abort();
    await Promise.all([gone, closed]);
    assert.ok(server.closed);
    assert.equal(server.stats().clients, 1);
    await server.close();
    server.ref().unref();
  });

  test('keeps its process running until it is closed, or unref is called', async (t) => {
    const path = join(temporaryFolder(t), 'socket');
    const program = (rest: string) => `
      import { defineDevice } from './dist/src/device/device.js';
      import { serve } from './dist/src/vfio-user/server.js';
      const device = defineDevice({ vendor: 1, device: 2, classCode: 3 });
      const server = await serve(device, { path: ${JSON.stringify(path)} });
      ${rest}`;
    assert.equal((await runModule(program('server.unref();'))).code, 0);
    const waits = await runModule(program("setTimeout(() => server.close().then(() => console.log('closed')), 200);"));
    assert.deepEqual([waits.code, waits.stdout], [0, 'closed\n']);
    assert.equal((await runModule(program('process.exit(7);'))).code, 7); // its socket is left, and replaced
    assert.equal((await runModule(program('server.unref();'))).code, 0);
  });

  test('is there for another driver as soon as it is closed', async (t) => {
    const { device, server, path } = await served(t);
    const client = await (await RawClient.connect(path)).start();
    await server.close();
    device.open().close();
    await client.close();
  });

  test('is closed with its device, also by a handler', async (t) => {
    const device = defineDevice({
      ...ids,
      regions: {
        0: {
          size: 4096,
          load: () => {
            device.close();
            return 0;
          },
        },
      },
    });
    const path = join(temporaryFolder(t), 'socket');
    const server = await serve(device, { path });
    const driver = openVfioUser(path);
    driver.enableMemory();
    const lost = once(driver, 'lost');
    throwsCode(() => driver.region(0).load32(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
    assert.equal(server.closed, true);
    assert.equal(existsSync(path), false);
    await lost;
    driver.close();
  });

  test('leaves its event loop to others while a client posts without an end', async (t) => {
    const { server, path } = await served(t);
    const flood = `
      const { openVfioUser } = require('ismio');
      const driver = openVfioUser(${JSON.stringify(path)}, { posted: true });
      driver.enableMemory();
      const region = driver.region(0);
      process.stdout.write('on');
      for (const end = Date.now() + 20_000; Date.now() < end; ) for (let i = 0; i < 1000; i++) region.store32(0x10, i);`;
    const child = spawn(process.execPath, ['-e', flood], {
      cwd: packageRoot,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const began = performance.now();
    for (let i = 0; i < 50; i++) await setTimeout(1);
    assert.ok(performance.now() - began < patience(5000), 'timers come while stores do');
    const gone = once(server, 'gone');
    child.kill('SIGKILL');
    await Promise.all([gone, once(child, 'close')]);
  });
});
