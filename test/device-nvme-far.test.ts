// The NVMe controller of examples/devices with a host whose memory is reached by messages: while one of them is waited for, the
// host stores to the registers as well.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { Controller } from '../examples/devices/nvme/controller.js';
import { FileMedium, MemoryMedium } from '../examples/devices/nvme/medium.js';
import { pattern } from './support/bytes.js';
import { temporaryFile } from './support/files.js';
import { enabled, NvmeHost, registers } from './support/nvme-host.js';
import { patience } from './support/scale.js';

const iova = 0x10_0000n;
const disk = pattern(1 << 20, 7);

interface Access {
  readonly what: 'read' | 'write';
  /** Position in the host's memory. */
  readonly position: number;
  readonly length: number;
}

function opened(test: TestContext, file?: string) {
  const memory = new Uint8Array(2 << 20);
  const road = { meanwhile: (_access: Access) => {}, accesses: 0, interrupts: 0 };
  const part = (what: Access['what'], address: bigint, length: number) => {
    const position = Number(address - iova);
    road.accesses++;
    road.meanwhile({ what, position, length });
    if (position < 0 || position + length > memory.length) {
      throw Object.assign(new Error('not mapped'), { code: 'ERR_ISMIO_DMA' });
    }
    return memory.subarray(position, position + length);
  };
  const controller = new Controller({
    host: {
      read: (address, target) => target.set(part('read', address, target.length)),
      write: (address, source) => part('write', address, source.length).set(source),
      view: () => null,
      interrupt: () => {
        road.interrupts++;
      },
    },
    medium: file === undefined ? new MemoryMedium(disk.slice(), false) : new FileMedium(file, false),
    identity: {
      serial: 'far',
      uuid: new Uint8Array(16),
      vendor: 0x1234,
      blocks: 2048,
      blockBytes: 512,
      readOnly: false,
      zeroes: true,
    },
    queues: 2,
  });
  test.after(() => controller.close());
  const bar = {
    load32: (offset: number) => Number(controller.load(offset, 4)),
    load64: (offset: number) => BigInt(controller.load(offset, 8)),
    store32: (offset: number, value: number) => controller.store(offset, value >>> 0, 4),
    store64: (offset: number, value: bigint) => controller.store(offset, value, 8),
  };
  return { controller, road, host: new NvmeHost({ bar, memory, iova }) };
}

test('commands that are rung for while others are fetched are taken once, in their order', async (test) => {
  const { host, road } = opened(test);
  await host.enable();
  await host.create(1, 64);
  const at = host.pages(40);
  const expected: number[] = [];
  const add = () => {
    const block = expected.length * 8;
    expected.push(
      host.put(1, { opcode: 2, namespace: 1, first: host.address(at + block * 512), words: [block, 0, 7] }),
    );
  };
  add();
  road.meanwhile = () => {
    if (expected.length >= 40) return;
    add();
    host.ring(1);
  };
  host.ring(1);
  const ids: number[] = [];
  while (ids.length < 40) {
    const { id, status } = await host.completion(1);
    assert.equal(status, 0);
    ids.push(id);
  }
  assert.deepEqual(ids, expected);
  await host.quiet();
  assert.equal(host.look(1), null);
  assert.deepEqual(Buffer.from(host.memory.subarray(at, at + 40 * 4096)), Buffer.from(disk.subarray(0, 40 * 4096)));
});

test('completions whose interrupt is served while others are written are each seen once', async (test) => {
  const { host, road } = opened(test);
  await host.enable();
  await host.create(1, 8);
  const first = host.address(host.pages(1));
  const seen: number[] = [];
  road.meanwhile = ({ what }) => {
    if (what === 'read') return;
    for (let one = host.look(1); one !== null; one = host.look(1)) seen.push(one.id);
  };
  const sent: number[] = [];
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 7; i++) sent.push(host.put(1, { opcode: 2, namespace: 1, first, words: [i] }));
    host.ring(1);
    const deadline = performance.now() + patience(10_000);
    while (seen.length < sent.length) {
      assert.ok(performance.now() < deadline, `${seen.length} of ${sent.length}`);
      await host.quiet();
      for (let one = host.look(1); one !== null; one = host.look(1)) seen.push(one.id);
    }
  }
  assert.deepEqual(seen, sent);
});

const resets = {
  'a reset of the function': (_host: NvmeHost, controller: Controller) => controller.reset(),
  'a disabling': (host: NvmeHost) => host.bar.store32(registers.cc, enabled & ~1),
  'a driver that goes': (_host: NvmeHost, controller: Controller) => controller.gone(),
} as const;

for (const [what, reset] of Object.entries(resets)) {
  test(`after ${what} in the middle of any access, nothing of the host's memory is touched`, async (test) => {
    let last = 0;
    // Each access of a read by a list of pages, in its turn: the entry, the lists, the pages, the completion.
    for (let turn = 1; last === 0; turn++) {
      const { host, controller, road } = opened(test);
      await host.enable();
      await host.create(1, 8);
      const at = host.pages(8);
      // A list that goes on in another.
      const lists = host.pages(1);
      const [second, ...others] = [3, 5, 7].map((page) => host.address(at + page * 4096)) as [bigint, bigint, bigint];
      const list = host.list([second, host.list(others)], lists + 4080);
      host.put(1, { opcode: 2, namespace: 1, first: host.address(at), second: list, words: [0, 0, 31] });
      const before = road.accesses;
      const touched: Access[] = [];
      road.meanwhile = (access) => {
        if (road.accesses < before + turn) return;
        if (road.accesses === before + turn) reset(host, controller);
        else touched.push(access);
      };
      host.ring(1);
      await host.quiet();
      assert.deepEqual(touched, [], `access ${turn}`);
      if (road.accesses < before + turn) last = turn - 1;
      road.meanwhile = () => {};
      host.bar.store32(registers.cc, enabled & ~1);
      await host.enable();
      assert.equal((await host.run(0, { opcode: 6, words: [1], first: host.address(at) })).status, 0);
    }
    assert.equal(last, 8);
  });
}

test('a write that is cut short while its data is fetched leaves the file as it was', async (test) => {
  const file = temporaryFile(test, disk);
  const { host, controller, road } = opened(test, file);
  for (let turn = 1; turn <= 3; turn++) {
    road.meanwhile = () => {};
    host.forget();
    await host.enable();
    await host.create(1, 8);
    const at = host.pages(5);
    host.memory.fill(0xee, at, at + 5 * 4096);
    const first = host.address(at);
    const second = host.list([host.address(at + 2 * 4096), host.address(at + 4 * 4096)]);
    host.put(1, { opcode: 1, namespace: 1, first, second, words: [0, 0, 23] });
    // Behind the entry and the list: one of three pages.
    const last = road.accesses + 2 + turn;
    road.meanwhile = () => {
      if (road.accesses === last) controller.reset();
    };
    host.ring(1);
    await host.quiet();
    assert.equal(road.accesses, last);
  }
  assert.ok(Buffer.from(disk).equals(readFileSync(file)));
});
