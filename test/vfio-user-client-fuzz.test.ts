// openVfioUser against a server whose answers are changed at random: it opens, or says what is wrong, and never hangs.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { allocBuffer, isIsmioError, openVfioUser, type VfioDevice } from 'ismio';
import { scaled } from './support/scale.js';
import { vfioUserServer } from './support/vfio-user-server.js';

const seed = Number(process.env['ISMIO_FUZZ_SEED'] ?? 1);

/** What a driver does; each part may fail, in the package's own words. */
function drive(device: VfioDevice): void {
  const parts: (() => unknown)[] = [
    () => device.config.capabilities(),
    () => device.enableBusMaster(),
    () => device.dmaMap(allocBuffer(4096)).unmap(),
    () => device.irq('msix').enable(2),
    () => device.reset(),
    () => {
      const region = device.region(0);
      region.store64(8, 1n);
      region.load64(8);
      region.write(16, new Uint8Array(100));
      const queue = region.queue({ depth: 64 });
      for (let i = 0; i < 40; i++) queue.store32(i * 4, i);
      queue.submit();
    },
  ];
  for (const part of parts) attempt(part);
}

function attempt<Value>(part: () => Value): Value | undefined {
  try {
    return part();
  } catch (error) {
    assert.ok(isIsmioError(error) || error instanceof AggregateError, String((error as Error).stack));
    return undefined;
  }
}

test('a server that answers anything is opened or refused, and leaves no descriptor behind', async (t) => {
  const clients = scaled(300);
  const server = await vfioUserServer(t, { mutate: seed });
  const before = readdirSync('/proc/self/fd').length;
  let opened = 0;
  for (let client = 0; client < clients; client++) {
    try {
      const device = attempt(() => openVfioUser(server.path, { timeout: 1000 }));
      if (device === undefined) continue;
      opened++;
      drive(device);
      attempt(() => device.close());
    } catch (cause) {
      throw new Error(`client ${client} of ISMIO_FUZZ_SEED=${seed}`, { cause });
    }
    // Regions and signals that were let go of are closed in a turn of the event loop.
    if (client % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(opened > clients / 20, `${opened} of ${clients} were opened`);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(readdirSync('/proc/self/fd').length <= before + 2);
});
