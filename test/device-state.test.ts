// A device that is saved, and goes on elsewhere.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { allocBuffer, IsmioError, openVfioUser } from 'ismio';
import { type Device, type DeviceDescription, type DeviceState, defineDevice } from 'ismio/device';
import { packageRoot } from './support/child.js';
import { throwsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';

const description: DeviceDescription = {
  vendor: 0x1af4,
  device: 0x4242,
  classCode: 0x08_80_00,
  interrupts: { intx: true, msix: 4 },
};

interface Counter {
  readonly device: Device;
  readonly memory: Uint8Array;
}

/** A register that counts what is stored to it, and memory. */
function counter(more: Partial<DeviceDescription> = {}): Counter {
  const held = { sum: 0 };
  const memory = allocBuffer(4096);
  const device = defineDevice({
    ...description,
    regions: {
      0: {
        size: 4096,
        load: () => held.sum,
        store(_offset, value) {
          held.sum += Number(value);
        },
      },
      1: { size: 8192, areas: [{ offset: 4096, memory }], load: () => 0 },
    },
    saveState: () => ({ ...held }),
    restoreState: (state) => {
      const { sum } = state as typeof held;
      if (!Number.isInteger(sum)) throw new RangeError(`no sum: ${sum}`);
      held.sum = sum;
    },
    ...more,
  });
  return { device, memory };
}

/** What a counter is whose driver has stored 3 and 4, and in which a vector is held back. */
function saved(): DeviceState {
  const { device, memory } = counter();
  const driver = device.open();
  driver.enableMemory();
  driver.config.write8(0x3c, 11);
  driver.region(0).store32(0, 3);
  driver.region(0).store32(0, 4);
  memory.fill(9);
  const table = driver.region(2); // a BAR of its own
  table.store32(0x1c, 0);
  device.interrupt('msix', 2);
  device.level(true);
  const state = device.save();
  device.close();
  return structuredClone(state);
}

test('a device that is restored goes on where it was saved: registers, memory, configuration, interrupts', () => {
  const state = saved();
  const { device, memory } = counter();
  device.restore(state);
  assert.equal(memory[4095], 9);
  assert.equal(device.pending('msix', 2), true);
  assert.equal(device.pending('msix', 1), false);
  const driver = device.open();
  assert.equal(driver.config.read8(0x3c), 11);
  assert.equal(driver.config.read16(6) & 8, 8); // INTx is up
  driver.region(0).store32(0, 5); // memory is decoded already
  assert.equal(driver.region(0).load32(0), 12);
  assert.equal(driver.region(2).load32(0x1c), 0); // an entry of the table
  throwsCode(() => device.restore(state), IsmioError, 'ERR_ISMIO_DEVICE_BUSY');
  driver.close();
  device.restore(state);
  device.close();
  throwsCode(() => device.restore(state), IsmioError, 'ERR_ISMIO_CLOSED');
  throwsCode(() => device.save(), IsmioError, 'ERR_ISMIO_CLOSED');
});

describe('a state that is not one of the device is refused, and nothing of it is taken', () => {
  const state = saved();
  const changed = (offset: number, value: number): Uint8Array => {
    const bytes = state.configuration.slice();
    bytes[offset] = value;
    return bytes;
  };
  const { registers: _, ...withoutRegisters } = state;
  const memory = state.memory[0];
  const wrong: Record<string, [unknown, RegExp]> = {
    nothing: [null, /it is null/],
    'a list': [[], /it is/],
    'no version': [{ ...state, version: undefined }, /version is undefined/],
    'another version': [{ ...state, version: 2 }, /version is 2, and this package takes 1/],
    'something more': [{ ...state, more: 1 }, /'more', which no state has/],
    'another device': [{ ...state, configuration: changed(2, 0x43) }, /offset 0x2 is 0x43, not 0x42/],
    'another capability': [{ ...state, configuration: changed(0x40, 5) }, /offset 0x40/],
    'another size of a BAR': [{ ...state, configuration: changed(0x11, 0x01) }, /offset 0x11/],
    'a longer configuration space': [{ ...state, configuration: new Uint8Array(4096) }, /has 4096 bytes/],
    'configuration space that is no bytes': [{ ...state, configuration: 'x' }, /must be a Uint8Array/],
    'a shorter MSI-X table': [{ ...state, msixTable: new Uint8Array(16) }, /MSI-X table has 16 bytes/],
    'no pending vectors': [{ ...state, pending: undefined }, /pending vectors are undefined/],
    'a vector that there is not': [{ ...state, pending: { msi: [], msix: [4] } }, /the device has 4/],
    'a vector that is none': [{ ...state, pending: { msi: [], msix: [0.5] } }, /pending vectors of msix/],
    'more vectors than there are': [
      { ...state, pending: { msi: [], msix: [0, 0, 0, 0, 0] } },
      /pending vectors of msix/,
    ],
    'no memory': [{ ...state, memory: [] }, /memory is 0 pieces/],
    'memory elsewhere': [{ ...state, memory: [{ ...memory, offset: 0 }] }, /piece 0/],
    'shorter memory': [{ ...state, memory: [{ ...memory, bytes: new Uint8Array(8) }] }, /has 8 bytes/],
    'no registers': [withoutRegisters, /no registers/],
  };
  for (const [what, [given, words]] of Object.entries(wrong)) {
    test(what, () => {
      const { device, memory: bytes } = counter();
      const error = throwsCode(() => device.restore(given as DeviceState), IsmioError, 'ERR_ISMIO_STATE');
      assert.match(error.message, words);
      assert.equal(bytes[0], 0);
      assert.equal(device.pending('msix', 2), false);
      device.open().close(); // and it can be opened
      device.close();
    });
  }

  test('what restoreState throws', () => {
    const { device, memory: bytes } = counter();
    assert.throws(() => device.restore({ ...state, registers: { sum: 'x' } }), /no sum: x/);
    assert.equal(bytes[0], 0);
    device.close();
  });

  test('registers that nobody takes', () => {
    const { device } = counter({ saveState: undefined, restoreState: undefined } as never);
    throwsCode(() => device.restore(state), IsmioError, 'ERR_ISMIO_STATE');
    device.close();
  });
});

test('saveState without restoreState is refused', () => {
  throwsCode(() => defineDevice({ ...description, saveState: () => 1 }), RangeError, 'ERR_ISMIO_OPTION');
});

/** Serves a counter in a process of its own; `save` moves what it is to the file, and ends it. */
const program = `
import { readFileSync, writeFileSync, existsSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { allocBuffer } from 'ismio';
import { defineDevice, serve } from 'ismio/device';
const [path, file] = process.argv.slice(-2);
const held = { sum: 0n };
const device = defineDevice({
  vendor: 0x1af4, device: 0x4242, classCode: 0x088000,
  interrupts: { msix: 2 },
  regions: {
    0: { size: 4096, load: () => held.sum, store: (offset, value) => void (held.sum += value) },
    1: { size: 4096, memory: allocBuffer(4096, { shared: true }) },
  },
  saveState: () => held,
  restoreState: (state) => Object.assign(held, state),
});
if (existsSync(file)) device.restore(deserialize(readFileSync(file)));
await serve(device, { path });
console.log('serves');
process.stdin.once('data', () => {
  writeFileSync(file, serialize(device.save()));
  console.log('saved');
  process.exit();
});
`;

async function inProcess(t: TestContext, module: string, path: string, file: string) {
  const child = spawn(process.execPath, [module, path, file], {
    cwd: packageRoot,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const says = async (text: string) => assert.equal((await lines.next()).value, text);
  await says('serves');
  return {
    async save() {
      const ended = once(child, 'exit');
      child.stdin.write('save\n');
      await says('saved');
      await ended;
    },
  };
}

test('a device moves from one process to another, and its driver finds there what it left', async (t) => {
  const folder = temporaryFolder(t);
  const [file, module] = [join(folder, 'state'), join(packageRoot, `dist/state-${process.pid}.mjs`)];
  writeFileSync(module, program);
  t.after(() => unlinkSync(module));
  const first = await inProcess(t, module, join(folder, 'first'), file);
  const before = openVfioUser(join(folder, 'first'));
  before.enableMemory();
  before.region(0).store64(0, 40n);
  before.region(1).store32(0x10, 0xabcd);
  const lost = once(before, 'lost');
  await first.save();
  await lost;
  before.close();
  await inProcess(t, module, join(folder, 'second'), file);
  const after = openVfioUser(join(folder, 'second'));
  after.region(0).store64(0, 2n); // memory is decoded already
  assert.equal(after.region(0).load64(0), 42n);
  assert.equal(after.region(1).load32(0x10), 0xabcd);
  after.close();
});
