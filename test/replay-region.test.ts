// What a replay asks of a region: whatever offers it can stand in for one that was opened.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocBuffer, emulate, type Region, type ReplayRegion, replay } from 'ismio';
import { rejectsCode } from './support/errors.js';
import { recorded } from './support/recordings.js';

/** Forwards to a region, and notes what it is asked for. */
function standIn(region: Region): { stand: ReplayRegion; asked: Set<string> } {
  const asked = new Set<string>();
  const forwarded = (name: string) => {
    return (...values: unknown[]): unknown => {
      asked.add(name);
      return (region as unknown as Record<string, (...values: unknown[]) => unknown>)[name]?.(...values);
    };
  };
  const accesses = [8, 16, 32, 64].flatMap((bits) => [`load${bits}`, `store${bits}`]);
  const methods = [...accesses, 'read', 'write', 'storeBlock', 'fence', 'queue', 'stats', 'close'];
  const { name, size, rules, kind, writable } = region;
  const stand = { name, size, rules, kind, writable, closed: false };
  for (const method of methods) Object.assign(stand, { [method]: forwarded(method) });
  return { stand: stand as unknown as ReplayRegion, asked };
}

const everything = async (region: Region): Promise<void> => {
  region.store32(0, 7);
  region.load32(0);
  region.storeBlock(64, new Uint8Array(64).fill(1));
  region.write(128, new Uint8Array(100).fill(2));
  region.read(128, new Uint8Array(100));
  const queue = region.queue({ depth: 64 });
  for (let at = 0; at < 16; at++) queue.storeWords(256 + 8 * at, at, 1);
  queue.store16(500, 3);
  queue.write(600, allocBuffer(40).fill(4));
  queue.load(600, allocBuffer(40));
  queue.fence();
  await queue.drain();
  queue.store64(512, 5n);
  queue.submit();
};

test('a stand-in that forwards to a region is replayed on, compared and counted like the region', async (t) => {
  const path = await recorded(t, everything, { loads: true });
  using region = emulate({ size: 4096 });
  using other = emulate({ size: 4096 });
  const { stand, asked } = standIn(region);
  const [report, expected] = [
    await replay(path, { region: stand, verifyLoads: true }),
    await replay(path, { region: other, verifyLoads: true }),
  ];
  assert.deepEqual(report.regions, expected.regions);
  for (const name of ['store32', 'load32', 'storeBlock', 'write', 'read', 'queue', 'stats']) assert.ok(asked.has(name));
  assert.ok(!asked.has('close'), 'a region that was given is not closed');
});

test('what a stand-in holds is what is compared', async (t) => {
  const path = await recorded(t, everything);
  using region = emulate({ size: 4096 });
  const { stand } = standIn(region);
  const write = stand.write.bind(stand);
  stand.write = (offset, bytes) => {
    write(offset, bytes);
    region.store8(128, 9);
  };
  await assert.rejects(replay(path, { region: stand }), { code: 'ERR_ISMIO_MISMATCH', offset: 128, found: 9 });
});

test('a stand-in that a function opens is closed', async (t) => {
  const path = await recorded(t, everything);
  const { stand, asked } = standIn(emulate({ size: 4096 }));
  await replay(path, { region: () => stand });
  assert.ok(asked.has('close'));
});

test('what lacks something of a region is refused, with the names of what is missing', async (t) => {
  const path = await recorded(t, everything);
  using region = emulate({ size: 4096 });
  const { stand } = standIn(region);
  const { queue: _, stats: __, ...without } = stand;
  for (const [given, what] of [
    [without, 'region'],
    [() => without, 'what region gives'],
  ] as const) {
    const error = await rejectsCode(
      replay(path, { region: given as unknown as ReplayRegion }),
      TypeError,
      'ERR_ISMIO_ARGUMENT_TYPE',
    );
    assert.equal(error.message, `${what} must be a region, or offer what one does; it has no queue, stats`);
  }
  for (const given of [null, 5, 'window']) {
    const error = await rejectsCode(
      replay(path, { region: given as unknown as ReplayRegion }),
      TypeError,
      'ERR_ISMIO_ARGUMENT_TYPE',
    );
    assert.match(error.message, /^region must be a region or a function, not /);
  }
});
