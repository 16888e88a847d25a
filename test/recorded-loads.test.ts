// What a region gave, in its recording: where it is asked for, every load has its bytes, and a replay is held against them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  allocBuffer,
  emulate,
  type Fault,
  freeBuffer,
  IsmioError,
  inspectRecording,
  Pool,
  type RecordedOperation,
  type Region,
  readRecording,
  record,
  replay,
} from 'ismio';
import { rejectsCode, throwsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { anyOperations, anyQueue, claim, modelSize } from './support/operations.js';
import { listOf, recorded } from './support/recordings.js';
import { scaled } from './support/scale.js';

const MiB = 2 ** 20;
const withLoads = { loads: true } as const;

type Listed = Omit<RecordedOperation, 'time'>;

function isLoad({ kind }: Listed): boolean {
  return kind === 'load' || kind === 'read';
}

/** What the loads of a recording gave. */
async function loadsOf(path: string): Promise<(Uint8Array | null)[]> {
  return (await listOf(path)).filter(isLoad).map(({ payload }) => payload);
}

/** The byte at this offset of a region that `fill` has filled. */
function byteAt(offset: number): number {
  return (offset * 7 + (offset >> 8)) & 0xff;
}

function bytesAt(offset: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => byteAt(offset + index));
}

function fill(region: Region): void {
  region.write(0, bytesAt(0, region.size));
}

test('every load has the bytes that it gave, whatever makes it, as they lie in the region', async (t) => {
  await using pool = new Pool({ threads: 2 });
  const path = await recorded(
    t,
    async (region) => {
      fill(region);
      region.load8(5);
      region.load16(6, 'be');
      region.load16(6);
      region.load32(8, 'be');
      region.load64(16);
      region.load64(24, 'be');
      region.read(101, new Uint8Array(30));
      const queue = region.queue();
      queue.load(201, new Uint8Array(9));
      queue.load(301, allocBuffer(11));
      queue.submit();
      queue.load(401, allocBuffer(1000));
      queue.load(501, new Uint8Array(12));
      await queue.drain();
      await pool.read(region, 601, new Uint8Array(500));
      await pool.read(region, 701, allocBuffer(600));
    },
    withLoads,
  );
  const list = (await listOf(path)).filter(isLoad);
  assert.equal(list.length, 13);
  for (const { offset, length, payload } of list) assert.deepEqual(payload, bytesAt(offset, length), `at ${offset}`);
  assert.equal((await inspectRecording(path)).loads, true);
});

test('without the option no load has bytes, and the file is of the version that earlier readers know', async (t) => {
  const act = async (region: Region): Promise<void> => {
    region.load64(0);
    region.read(8, new Uint8Array(8));
    region.fence();
    const queue = region.queue();
    queue.load(0, new Uint8Array(8));
    await queue.drain();
  };
  const versionOf = (path: string): number => readFileSync(path).readUInt32LE(8);
  const without = await recorded(t, act);
  assert.deepEqual(await loadsOf(without), [null, null, null]);
  assert.equal((await inspectRecording(without)).loads, false);
  assert.equal(versionOf(without), 2);
  assert.equal(versionOf(await recorded(t, act, withLoads)), 4);
  assert.equal(versionOf(await recorded(t, (region) => region.fence('afterStatus'))), 4);
});

test('what is loaded is not recorded without what is stored', (t) => {
  using region = emulate({ size: 64 });
  const options = { payload: false, loads: true };
  throwsCode(() => record(region, join(temporaryFolder(t), 'none'), options), RangeError, 'ERR_ISMIO_OPTION', options);
});

test('of a load that failed only what went through has bytes', async (t) => {
  const path = join(temporaryFolder(t), 'failed');
  // A load at 64 fails always, whoever makes it.
  using region = emulate({ size: 256, faults: [{ access: 'load', range: [64, 72], cc: 1 }] });
  fill(region);
  const recorder = record(region, path, withLoads);
  const failed = { code: 'ERR_ISMIO_DEVICE' };
  assert.throws(() => region.load64(64), failed);
  assert.throws(() => region.read(40, new Uint8Array(60)), failed);
  const queue = region.queue();
  for (const own of [false, true]) {
    for (const [offset, length] of [
      [0, 8],
      [48, 40],
      [128, 8],
    ] as const) {
      queue.load(offset, own ? allocBuffer(length) : new Uint8Array(length));
    }
    assert.throws(() => queue.submit(), failed);
  }
  recorder.close();
  const batch = [bytesAt(0, 8), bytesAt(48, 16), null];
  assert.deepEqual(await loadsOf(path), [null, bytesAt(40, 24), ...batch, ...batch]);
  using again = emulate({ size: 256 });
  fill(again);
  const { regions } = await replay(path, { region: again, verifyLoads: true });
  assert.deepEqual(regions[0]?.recalled, { bytes: 24 + 2 * (8 + 16), unknown: 0 });
});

type Step =
  | { readonly kind: 'load'; readonly offset: number; readonly length: number; readonly place: number | null }
  | { readonly kind: 'store'; readonly offset: number; readonly word: number }
  | { readonly kind: 'submit' | 'drain' };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('load' as const),
      offset: fc.nat(200),
      length: fc.nat(16),
      place: fc.option(fc.nat(200)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('store' as const),
      offset: fc.nat(24).map((at) => at * 8),
      word: fc.nat(1000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('submit' as const, 'drain' as const) }) },
);

test('a load has its own bytes or none, wherever others go meanwhile; alone in its place it has them', async (t) => {
  const folder = temporaryFolder(t);
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), async (steps) => {
      using region = emulate({ size: 256 });
      fill(region);
      const model = bytesAt(0, 256);
      const recorder = record(region, join(folder, 'places'), withLoads);
      const queue = region.queue({ depth: 128 });
      const memory = allocBuffer(256);
      const expected: { bytes: Uint8Array; place: number | null }[] = [];
      const drains: Promise<unknown>[] = [];
      for (const step of steps) {
        if (step.kind === 'drain') drains.push(queue.drain());
        else if (step.kind === 'submit') {
          await Promise.all(drains);
          queue.submit();
        } else if (step.kind === 'store') {
          queue.storeWords(step.offset, step.word, step.word);
          new DataView(model.buffer).setUint32(step.offset, step.word, true);
          new DataView(model.buffer).setUint32(step.offset + 4, step.word, true);
        } else if (step.kind === 'load') {
          const { offset, length, place } = step;
          queue.load(offset, place === null ? new Uint8Array(length) : memory.subarray(place, place + length));
          expected.push({ bytes: model.slice(offset, offset + length), place });
        }
      }
      await queue.drain();
      recorder.close();
      const loads = await loadsOf(join(folder, 'places'));
      assert.equal(loads.length, expected.length);
      for (const [index, { bytes, place }] of expected.entries()) {
        const alone = expected.every(
          (other, at) =>
            at === index ||
            place === null ||
            other.place === null ||
            other.place + other.bytes.length <= place ||
            place + bytes.length <= other.place,
        );
        if (alone || loads[index] !== null) assert.deepEqual(loads[index], bytes, `load ${index}`);
      }
      using again = emulate({ size: 256 });
      fill(again);
      await replay(join(folder, 'places'), { region: again, verifyLoads: true });
    }),
    { numRuns: scaled(200) },
  );
});

test('any operations load the same when they are replayed, in whatever merge mode and by whom they are submitted', async (t) => {
  const folder = temporaryFolder(t);
  const faults: fc.Arbitrary<Fault[]> = fc.array(
    fc.record({ nth: fc.integer({ min: 1, max: 40 }), cc: fc.constantFrom(1 as const, 3 as const) }),
    { maxLength: 2 },
  );
  const modes = fc.record({
    merge: fc.constantFrom('none' as const, 'adjacent' as const, 'any' as const),
    handOver: fc.constantFrom('recorded' as const, 'submit' as const, 'drain' as const),
    verify: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(anyOperations(50), anyQueue, faults, modes, async (operations, options, script, mode) => {
      using region = emulate({ size: modelSize, faults: script });
      const recorder = record(region, join(folder, 'any'), withLoads);
      const queue = region.queue({ ...options, order: 'strict' });
      for (const [number, operation] of operations.entries()) {
        if (!claim(queue, operation, number).taken) await queue.drain().catch(() => undefined);
        if (number % 7 === 0) void queue.drain().catch(() => undefined);
      }
      await queue.drain().catch(() => undefined);
      recorder.close();
      const { failed } = await replay(join(folder, 'any'), { ...mode, verifyLoads: true });
      assert.equal(failed, 0);
    }),
    { numRuns: scaled(100) },
  );
});

/** Makes one load of the byte at 1000, and of some around it. */
const ways: Readonly<Record<string, (region: Region) => void | Promise<void>>> = {
  'a direct load': (region) => {
    region.load32(1000);
  },
  'a read': (region) => region.read(990, new Uint8Array(50)),
  'a load that was submitted': (region) => {
    const queue = region.queue();
    queue.load(0, new Uint8Array(10));
    queue.load(997, new Uint8Array(10));
    queue.submit();
  },
  'a load that was drained': async (region) => {
    const queue = region.queue();
    queue.load(0, allocBuffer(900));
    queue.load(900, allocBuffer(800));
    await queue.drain();
  },
  "a pool's read": async (region) => {
    await using pool = new Pool({ threads: 1 });
    await pool.read(region, 100, new Uint8Array(2000));
  },
};

for (const [what, act] of Object.entries(ways)) {
  test(`${what} that gives something else than when it was recorded ends the replay with its place`, async (t) => {
    const path = await recorded(t, act, withLoads);
    using other = emulate({ size: 4096, name: 'other' });
    assert.equal((await replay(path, { region: other, verifyLoads: true })).regions[0]?.recalled?.unknown, 0);
    other.store8(1000, 6);
    await replay(path, { region: other });
    for (const verify of [true, false]) {
      const error = await rejectsCode(
        replay(path, { region: other, verify, verifyLoads: true }),
        IsmioError,
        'ERR_ISMIO_MISMATCH',
        { region: 'other', offset: 1000, expected: 0, found: 6 },
      );
      assert.match(error.message, /a load from other gave 0x6 at offset 0x3e8; when it was recorded it gave 0x0/);
      assert.equal((error['report'] as { operations: number }).operations > 0, true);
    }
  });
}

test('a recording without what was loaded is not compared with it', async (t) => {
  const path = await recorded(t, (region) => region.read(0, new Uint8Array(1)));
  const error = await rejectsCode(replay(path, { verifyLoads: true }), RangeError, 'ERR_ISMIO_OPTION', { path });
  assert.match(error.message, /\{ loads: true \}/);
});

test('loads of more than a piece of memory are compared to their last byte', async (t) => {
  const size = 8 * MiB;
  const act = async (region: Region): Promise<void> => {
    const queue = region.queue();
    const target = allocBuffer(5 * MiB);
    queue.load(1, target.subarray(0, 3_000_001));
    queue.load(4 * MiB, target.subarray(3_000_001, 4_000_000));
    await queue.drain();
    region.read(7, new Uint8Array(2 * MiB));
  };
  const path = await recorded(t, act, { size, ...withLoads });
  using other = emulate({ size });
  const { regions } = await replay(path, { region: other, verifyLoads: true });
  assert.deepEqual(regions[0]?.recalled, { bytes: 4_000_000 + 2 * MiB, unknown: 0 });
  for (const offset of [3_000_001, 4 * MiB + 999_998]) {
    other.store8(offset, 1);
    await rejectsCode(replay(path, { region: other, verifyLoads: true }), IsmioError, 'ERR_ISMIO_MISMATCH', { offset });
    other.store8(offset, 0);
  }
});

test('loads while others store to the same bytes are not compared, those while others load are', async (t) => {
  const path = await recorded(
    t,
    async (region) => {
      const [one, two] = [region.queue(), region.queue()];
      one.load(0, allocBuffer(64));
      one.load(128, allocBuffer(64));
      two.load(0, allocBuffer(64));
      two.write(128, allocBuffer(32).fill(1));
      const drained = Promise.all([one.drain(), two.drain()]);
      region.load64(8);
      region.load64(136);
      await drained;
    },
    withLoads,
  );
  const { regions } = await replay(path, { verifyLoads: true });
  assert.deepEqual(regions[0]?.recalled, { bytes: 64 + 64 + 8, unknown: 64 + 8 });
});

test('what a target had in it that the program has freed is recorded', async (t) => {
  const path = await recorded(
    t,
    async (region) => {
      fill(region);
      const queue = region.queue();
      for (const hand of ['submit', 'drain'] as const) {
        const target = allocBuffer(3000);
        queue.load(10, target.subarray(0, 20));
        queue.load(1000, target.subarray(20));
        if (hand === 'submit') freeBuffer(target);
        const done = queue[hand]();
        if (hand === 'drain') freeBuffer(target);
        await done;
      }
    },
    withLoads,
  );
  const loads = [bytesAt(10, 20), bytesAt(1000, 2980)];
  assert.deepEqual(await loadsOf(path), [...loads, ...loads]);
});

test('what a drain gives that has not ended when the recorder is closed is not known, and is not compared', async (t) => {
  const path = join(temporaryFolder(t), 'flying');
  using region = emulate({ size: 4096 });
  const recorder = record(region, path, withLoads);
  const queue = region.queue();
  queue.load(0, allocBuffer(100));
  const drained = queue.drain();
  region.load8(0);
  recorder.close();
  await drained;
  assert.deepEqual(await loadsOf(path), [null, Uint8Array.of(0)]);
  const { regions } = await replay(path, { verifyLoads: true });
  assert.deepEqual(regions[0]?.recalled, { bytes: 1, unknown: 100 });
});

test('what is whole of an interrupted recording has what was loaded as far as that is whole', async (t) => {
  const rounds = 4;
  const bytes = bytesAt(0, 3 * MiB);
  const path = await recorded(
    t,
    async (region) => {
      region.write(0, bytes);
      const queue = region.queue();
      for (let round = 0; round < rounds; round++) {
        for (let at = 0; at < 3; at++) queue.load(at * MiB, allocBuffer(MiB));
        await queue.drain();
      }
    },
    { ...withLoads, size: 3 * MiB, compress: false },
  );
  const whole = readFileSync(path);
  const known = new Set<number>();
  for (let length = whole.length; length > 4 * MiB; length -= 2 * MiB) {
    const cut = temporaryFile(t, whole.subarray(0, length - 1));
    let loads = 0;
    for await (const { kind, offset, payload } of readRecording(cut, { partial: true })) {
      if (kind !== 'load' || payload === null) continue;
      assert.equal(Buffer.compare(payload, bytes.subarray(offset, offset + MiB)), 0);
      loads++;
    }
    known.add(loads);
    using again = emulate({ size: 3 * MiB });
    again.write(0, bytes);
    const { regions } = await replay(cut, { region: again, partial: true, verifyLoads: true });
    assert.ok((regions[0]?.recalled?.bytes as number) >= loads * MiB);
  }
  assert.ok(known.size > 3, [...known].join());
});

test('a list of operations waits for a load in a window only', async (t) => {
  const many = 70_000;
  const path = await recorded(
    t,
    async (region) => {
      fill(region);
      const queue = region.queue();
      queue.load(0, allocBuffer(8));
      const drained = queue.drain();
      for (let count = 0; count < many; count++) region.store8(4000, 1);
      await drained;
      queue.load(8, allocBuffer(8));
      await queue.drain();
    },
    withLoads,
  );
  assert.deepEqual(await loadsOf(path), [null, bytesAt(8, 8)]);
  assert.equal((await replay(path, { verifyLoads: true })).regions[0]?.recalled?.unknown, 0);
});

test('memory that a pool has read into, and the program has freed before that was told, ends the recording with the reason', async (t) => {
  const [{ emulate: open }, { tapOf }, { Recorder }] = await Promise.all([
    import('../src/region/open.js'),
    import('../src/region/region.js'),
    import('../src/record/recorder.js'),
  ]);
  const region = open({ size: 4096 });
  t.after(() => region.close());
  for (const [kind, options] of [
    ['read', withLoads],
    ['write', {}],
  ] as const) {
    const recorder = new Recorder(join(temporaryFolder(t), 'freed'), options);
    recorder.add(region);
    tapOf(region)?.pooled(kind, 8, 8, new Uint8Array(0), 0);
    throwsCode(() => recorder.close(), TypeError, 'ERR_ISMIO_DETACHED');
  }
});
