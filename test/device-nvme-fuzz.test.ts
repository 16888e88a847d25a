// The NVMe controller of examples/devices with a host that does anything: entries, addresses, doorbells and registers by chance,
// mostly such that something comes of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { pattern } from './support/bytes.js';
import { temporaryFile } from './support/files.js';
import { enabled, type NvmeHost, registers } from './support/nvme-host.js';
import { openNvme } from './support/nvme-road.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const diskBytes = 1 << 20;

type Random = (limit: number) => number;

function anyOf<Value>(random: Random, values: readonly Value[]): Value {
  return values[random(values.length)] as Value;
}

/** An address: of a page that is mapped, of part of one, at the end of what is mapped, of nothing. */
function address(random: Random, host: NvmeHost): bigint {
  const page = host.address(random(host.memory.length / 4096) * 4096);
  return anyOf(random, [
    page,
    page,
    page,
    page + BigInt(random(4096)),
    page + BigInt(random(1024) * 4),
    host.address(host.memory.length - 4096),
    host.address(host.memory.length),
    0n,
    0xffff_ffff_ffff_f000n,
    BigInt(random(2 ** 32)) << BigInt(random(33)),
  ]);
}

function word(random: Random): number {
  return anyOf(random, [
    0,
    1,
    7,
    random(16),
    random(2048),
    random(2 ** 16),
    random(2 ** 32),
    random(8) | (random(64) << 16),
  ]);
}

function entry(random: Random, host: NvmeHost) {
  const opcode = anyOf(random, [0, 1, 2, 2, 4, 5, 6, 8, 9, 9, 10, 12, 0x18, 0x7c, random(256)]);
  return {
    opcode,
    id: random(2 ** 16),
    flags: random(20) === 0 ? random(256) : 0,
    namespace: anyOf(random, [1, 1, 1, 0, 2, 256, 257, 0xffff_ffff]),
    first: address(random, host),
    second: address(random, host),
    words: Array.from({ length: 6 }, () => word(random)),
  };
}

/** One thing that a host may do. */
function act(random: Random, host: NvmeHost): void {
  const queue = random(4);
  const kind = random(100);
  if (kind < 60) {
    for (let i = random(8); i >= 0; i--) host.put(queue % 2, entry(random, host));
    host.ring(queue % 2);
  } else if (kind < 70) host.bar.store32(0x1000 + 8 * queue, anyOf(random, [random(64), random(2 ** 32)]));
  else if (kind < 80) host.bar.store32(0x1004 + 8 * queue, anyOf(random, [random(64), random(2 ** 32)]));
  else if (kind < 90) while (host.look(queue % 2) !== null);
  else if (kind < 93) host.bar.store32(random(1024) * 4, random(2 ** 32));
  else if (kind < 95) {
    const list = host.memory.subarray(random(host.memory.length / 4096) * 4096);
    const view = new DataView(list.buffer, list.byteOffset, 4096);
    for (let at = 0; at < 4096; at += 8) view.setBigUint64(at, address(random, host), true);
  } else if (kind < 96)
    host.bar.store32(registers.cc, anyOf(random, [enabled & ~1, enabled | (1 << 14), random(2 ** 32)]));
}

for (const medium of ['memory', 'file'] as const) {
  test(`${medium}: whatever a host does, the controller answers, and works after a reset`, async (test) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    test.diagnostic(`seed ${seed}`);
    const random = sequence(seed);
    const file = temporaryFile(test, pattern(diskBytes, 1));
    const { host, device, errors } = openNvme(test, medium === 'file' ? { file } : { bytes: pattern(diskBytes, 1) });
    for (let life = scaled(200); life > 0; life--) {
      host.forget();
      device.reset();
      await host.enable(64);
      await host.create(1, 64, 1);
      for (let i = 0; i < 50; i++) {
        act(random, host);
        if (random(4) === 0) await turn();
      }
    }
    host.forget();
    device.reset();
    await host.enable();
    await host.create(1, 64, 1);
    const at = host.pages(2);
    host.memory.set(pattern(4096, 99), at);
    const write = { opcode: 1, namespace: 1, first: host.address(at), words: [8, 0, 7] };
    assert.equal((await host.run(1, write)).status, 0);
    assert.equal((await host.run(1, { ...write, opcode: 2, first: host.address(at + 4096) })).status, 0);
    assert.deepEqual(host.memory.subarray(at + 4096, at + 8192), pattern(4096, 99));
    assert.deepEqual(errors, []);
  });
}
