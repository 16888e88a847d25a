// Recordings that are cut, flipped, forged or no recordings: one clear error with the place, and nothing else.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { allocBuffer, IsmioError, inspectRecording, mapFile, type Region, record, replay } from 'ismio';
import type { ByteWriter } from '../src/record/bytes.js';
import { blockHeaderBytes } from '../src/record/format.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFile, temporaryFolder } from './support/files.js';
import { type Content, defineQueue, defineRegion, forged, recorded, say } from './support/recordings.js';
import { scaled } from './support/scale.js';

const some = async (region: Region): Promise<void> => {
  const queue = region.queue({ depth: 8 });
  for (let at = 0; at < 12; at++) while (!queue.storeWords(at * 8, at, 1)) queue.submit();
  queue.write(1000, allocBuffer(30).fill(7));
  queue.load(8, new Uint8Array(20));
  queue.load(1000, allocBuffer(30));
  await queue.drain();
  region.store16(200, 5);
  region.fence('beforeDoorbell');
  region.load64(8);
};

for (const options of [{}, { loads: true }]) {
  const what = `a recording${options.loads === true ? ' with what was loaded' : ''}`;

  test(`${what} that is cut anywhere says so, and how much of it is whole`, async (t) => {
    const whole = readFileSync(await recorded(t, some, options));
    const path = temporaryFile(t, whole);
    for (let length = whole.length - 1; length >= 0; length--) {
      truncateSync(path, length);
      const { position, size } = await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING');
      assert.ok((position as number) <= length && size === length);
    }
  });

  test(`a byte that was changed, anywhere in ${what}, is found`, async (t) => {
    const whole = readFileSync(await recorded(t, some, options));
    const path = temporaryFile(t, whole);
    for (let at = 0; at < whole.length; at++) {
      const changed = Uint8Array.from(whole);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      writeFileSync(path, changed);
      const { position } = await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING');
      assert.ok((position as number) <= whole.length, `byte ${at}`);
    }
  });

  test(`no bit of the version of ${what} makes it another version`, async (t) => {
    const whole = readFileSync(await recorded(t, some, options));
    for (let bit = 0; bit < 32; bit++) {
      const changed = Uint8Array.from(whole);
      const at = 8 + (bit >> 3);
      changed[at] = (changed[at] as number) ^ (1 << (bit & 7));
      const path = temporaryFile(t, changed);
      await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING', { position: 8 });
    }
  });
}

test('what is whole of a cut recording is counted in operations', async (t) => {
  const path = await recorded(t, some);
  truncateSync(path, readFileSync(path).length - 1);
  const error = await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING', { operations: 18 });
  assert.match(error.message, /ends too early.*18 operations/);
});

const noise = (length: number): Uint8Array => randomFillSync(allocBuffer(length));

test('a byte that was changed in a long block is found, wherever it is', async (t) => {
  const path = await recorded(t, (region) => region.write(0, noise(1 << 20)), { size: 1 << 20 });
  const whole = readFileSync(path);
  const first = 16 + blockHeaderBytes + Math.ceil(whole.readUInt32LE(16 + 40) / 16) * 16;
  const end = first + blockHeaderBytes + Math.ceil(whole.readUInt32LE(first + 40) / 16) * 16;
  assert.ok(end - first > 1 << 20);
  const stretch = 1 << 17; // so much is read at once
  const places = [first, end].flatMap((at) => [at - 1, at, at + 32, at + blockHeaderBytes]).filter((at) => at < end);
  for (let at = first; at < end; at += stretch) {
    const around = [0, 16, 31, blockHeaderBytes - 1, blockHeaderBytes, stretch - 1];
    places.push(...around.map((more) => at + more).filter((place) => place < end));
  }
  for (const at of places) {
    whole[at] = (whole[at] as number) ^ 0x10;
    await rejectsCode(replay(temporaryFile(t, whole)), IsmioError, 'ERR_ISMIO_RECORDING');
    whole[at] = (whole[at] as number) ^ 0x10;
  }
  await replay(temporaryFile(t, whole));
});

test('a recording that is cut while it is replayed is damaged where it ends now', async (t) => {
  const many = (region: Region): void => {
    for (let round = 0; round < 40; round++) region.write(0, noise(1 << 20));
  };
  const path = await recorded(t, many, { size: 1 << 20 });
  const half = readFileSync(path).length >> 1;
  const onProgress = (): void => truncateSync(path, half);
  const error = await rejectsCode(replay(path, { onProgress }), IsmioError, 'ERR_ISMIO_RECORDING', { position: half });
  assert.match(error.message, /became shorter while it was read/);
});

test('what the kernel says of a file that it cannot read comes back', async (t) => {
  const { native } = await import('../src/addon/binding.js');
  const read = promisify(native.readSealed);
  const buffer = new Uint8Array(256);
  const folder = openSync('/', 'r');
  t.after(() => closeSync(folder));
  for (const [file, position, errno] of [
    [-1, 0, constants.errno.EBADF],
    [folder, 0, constants.errno.EISDIR],
    [folder, -1, constants.errno.EINVAL],
  ] as const) {
    assert.deepEqual(await read(file, position, buffer, 64, 128), { errno, filled: 64, fits: false });
  }
  assert.deepEqual(await read(-1, 0, buffer, 256, 128), { errno: 0, filled: 256, fits: true }, 'zeros of zeros');
  for (const [filled, block] of [
    [256, 16],
    [256, 512],
    [512, 512],
  ] as const) {
    assert.equal((await read(-1, 0, buffer, filled, block)).fits, false, 'no block of such a length');
  }
});

test('something behind the end is found', async (t) => {
  const whole = readFileSync(await recorded(t, some));
  const trailer = whole.subarray(whole.length - 16);
  for (const more of [Uint8Array.of(0), new Uint8Array(64), trailer, whole]) {
    const path = temporaryFile(t, Buffer.concat([whole, more]));
    await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING');
  }
});

test('a block that is left out, doubled or moved is found', async (t) => {
  const big = await recorded(
    t,
    (region) => {
      for (let at = 0; at < 10; at++) region.write(0, new Uint8Array(2 ** 20).fill(at));
    },
    { size: 2 ** 20, compress: false },
  );
  const whole = readFileSync(big);
  const starts: number[] = [];
  for (let at = 16; at < whole.length - 16; at += 64 + Math.ceil(whole.readUInt32LE(at + 40) / 16) * 16)
    starts.push(at);
  assert.ok(starts.length >= 5, 'metadata, several blocks, the end');
  const [first, second, third] = starts.slice(1) as [number, number, number];
  const damaged = [
    [whole.subarray(0, first), whole.subarray(second)],
    [whole.subarray(0, second), whole.subarray(first)],
    [whole.subarray(0, first), whole.subarray(second, third), whole.subarray(first, second), whole.subarray(third)],
  ];
  for (const parts of damaged) {
    await rejectsCode(replay(temporaryFile(t, Buffer.concat(parts))), IsmioError, 'ERR_ISMIO_RECORDING');
  }
});

test('files of anything are no recordings', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, begun) => {
      const start = Uint8Array.of(0x89, 0x49, 0x53, 0x4d, 0x52, 0x45, 0x43, 0x0a, 1, 0, 0, 0, 0, 0, 0, 0);
      const path = temporaryFile(t, begun ? Buffer.concat([start, bytes]) : bytes);
      await rejectsCode(inspectRecording(path), IsmioError, 'ERR_ISMIO_RECORDING');
    }),
    { numRuns: scaled(100) },
  );
});

test('another version of the format is told as such', async (t) => {
  const whole = readFileSync(await recorded(t, some));
  whole.writeUInt32LE(9, 8);
  const error = await rejectsCode(replay(temporaryFile(t, whole)), IsmioError, 'ERR_ISMIO_RECORDING', { position: 8 });
  assert.match(error.message, /version 9; this ismio reads 1, 2, 4/);
});

test('what is no file is told by the system', async (t) => {
  const path = temporaryFile(t, 0);
  await rejectsCode(replay(`${path}-not`), IsmioError, 'ERR_ISMIO_OPEN', { errno: 'ENOENT' });
  await rejectsCode(replay('/'), IsmioError, 'ERR_ISMIO_OPEN');
  await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING', { position: 0 });
});

const begin = (control: ByteWriter): void => {
  defineRegion(control);
  defineQueue(control);
};
const forgeries: Readonly<Record<string, Content | { raw: Uint8Array; operations?: number }>> = {
  'a block without parts': { raw: new Uint8Array(8) },
  'parts that are longer than the block': {
    raw: Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  },
  'what was loaded, where that was not to be recorded': {
    control: (c) => [begin(c), say(c, 0x20, 0, 0, 1, 0, 8), say(c, 0x05, 0, 0), say(c, 0x09, 0, 0, 8)],
    payload: new Uint8Array(8),
    operations: 1,
    batches: 1,
  },
  'an unknown record': { control: (c) => say(c, 0x0f, 0) },
  'a region twice': { control: (c) => [defineRegion(c), defineRegion(c)] },
  'a region of no bytes': { control: (c) => defineRegion(c, 0) },
  'a region beyond 2^48': { control: (c) => defineRegion(c, 2 ** 48 + 1) },
  'a queue of nowhere': { control: (c) => defineQueue(c) },
  'a queue of no depth': { control: (c) => [defineRegion(c), defineQueue(c, 0)] },
  'a queue deeper than any': { control: (c) => [defineRegion(c), defineQueue(c, 2 ** 20 + 1)] },
  'a batch of no queue': { control: (c) => say(c, 0x05, 3, 0) },
  'a store without its payload': { control: (c) => [begin(c), say(c, 0x21, 0, 0, 1, 0, 8)], operations: 1 },
  'a store of 3 bytes': {
    control: (c) => [begin(c), say(c, 0x21, 0, 0, 1, 0, 3)],
    payload: new Uint8Array(8),
    operations: 1,
  },
  'a store that is not aligned': {
    control: (c) => [begin(c), say(c, 0x21, 0, 0, 1, 4, 8)],
    payload: new Uint8Array(8),
    operations: 1,
  },
  'a store behind the end': {
    control: (c) => [begin(c), say(c, 0x21, 0, 0, 1, 4096, 8)],
    payload: new Uint8Array(8),
    operations: 1,
  },
  'a run that leaves the region': {
    control: (c) => [begin(c), say(c, 0x21, 0, 0, 2, 4088, 8, 8)],
    payload: new Uint8Array(16),
    operations: 2,
  },
  'a run that leaves it backwards': {
    control: (c) => [begin(c), say(c, 0x21, 128, 0, 2, 0, 8, 8)],
    payload: new Uint8Array(16),
    operations: 2,
  },
  'a stride of 2^52': { control: (c) => [begin(c), say(c, 0x23, 0, 0, 3, 0, 2 ** 52, 1)], operations: 3 },
  'more operations than a run can have': {
    control: (c) => [begin(c), say(c, 0x23, 0, 0, 2 ** 40, 0, 0, 1)],
    operations: 9,
  },
  'no operations in a run': { control: (c) => [begin(c), say(c, 0x23, 0, 0, 0, 0, 1)] },
  'more operations than the block says': { control: (c) => [begin(c), say(c, 0x23, 0, 0, 9, 0, 0, 1)], operations: 8 },
  'fewer operations than the block says': {
    control: (c) => [begin(c), say(c, 0x23, 0, 0, 9, 0, 0, 1)],
    operations: 10,
  },
  'a column that is not there': { control: (c) => [begin(c), say(c, 0x23, 1, 0, 9, 0, 1)], operations: 9 },
  'a column of no run': { control: begin, columns: (c) => c.varint(1) },
  'payload of no operation': { control: begin, payload: Uint8Array.of(1) },
  'an offset that is no number': {
    control: (c) => [begin(c), say(c, 0x23, 2, 0, 1, 1)],
    columns: (c) => c.column(Float64Array.of(Number.NaN), 1, 'f64'),
    operations: 1,
  },
  'half an offset': {
    control: (c) => [begin(c), say(c, 0x23, 2, 0, 1, 1)],
    columns: (c) => c.column(Float64Array.of(0.5), 1, 'f64'),
    operations: 1,
  },
  'an operation longer than a piece': {
    control: (c) => [begin(c), say(c, 0x23, 0, 0, 1, 0, 2 ** 20 + 1)],
    operations: 1,
  },
  'a length of 4 GiB': {
    control: (c) => [begin(c), say(c, 0x23, 8, 0, 1, 0)],
    columns: (c) => c.column(Float64Array.of(2 ** 32 - 1), 1, 'u32'),
    operations: 1,
  },
  'a store block in a queue': { control: (c) => [begin(c), say(c, 0x22, 0, 0, 1, 0, 8)], operations: 1 },
  'a fence for nothing that is known': { control: (c) => [begin(c), say(c, 0x25, 0x0c, 0, 1)], operations: 1 },
  'a fence with a place': { control: (c) => [begin(c), say(c, 0x25, 1, 0, 1)], operations: 1 },
  'a mode of offsets that there is not': { control: (c) => [begin(c), say(c, 0x23, 3, 0, 1, 0, 1)], operations: 1 },
  'a copy from a region that there is not': {
    control: (c) => [begin(c), say(c, 0x36, 0, 0, 1, 0, 0, 8, 7, 0)],
    operations: 1,
  },
  'a copy from behind the end': { control: (c) => [begin(c), say(c, 0x36, 0, 0, 1, 0, 0, 8, 0, 4095)], operations: 1 },
  'several operations that failed at once': {
    control: (c) => [begin(c), say(c, 0x13, 16, 0, 2, 0, 0, 0, 8, 0)],
    operations: 2,
  },
  'a number without an end': { control: (c) => [c.byte(5), c.append(new Uint8Array(30).fill(255))] },
  'a record that ends in the middle': {
    control: (c) => [begin(c), c.append(Uint8Array.of(0x21, 0, 0, 1, 0, 0, 0x80))],
  },
  'a region that is stored to, but not writable': {
    control: (c) => [defineRegion(c, 4096, 0), say(c, 0x11, 0, 0, 1, 0, 0, 8)],
    payload: new Uint8Array(8),
    operations: 1,
  },
  'a run at a stride that is not aligned': {
    control: (c) => [begin(c), say(c, 0x21, 0, 0, 2, 0, 12, 8), say(c, 0x05, 0, 0)],
    payload: new Uint8Array(16),
    operations: 2,
    batches: 1,
  },
  'distances that are not aligned': {
    control: (c) => [begin(c), say(c, 0x21, 1, 0, 2, 0, 8), say(c, 0x05, 0, 0)],
    columns: (c) => c.column(Float64Array.of(0, 12), 2, 'i32'),
    payload: new Uint8Array(16),
    operations: 2,
    batches: 1,
  },
  'a column of offsets that are not aligned': {
    control: (c) => [begin(c), say(c, 0x21, 2, 0, 2, 8), say(c, 0x05, 0, 0)],
    columns: (c) => c.column(Float64Array.of(0, 12), 2, 'f64'),
    payload: new Uint8Array(16),
    operations: 2,
    batches: 1,
  },
  'a direct load that is not aligned': { control: (c) => [begin(c), say(c, 0x10, 0, 0, 1, 0, 4, 8)], operations: 1 },
  'a store that failed half-way': {
    control: (c) => [begin(c), say(c, 0x11, 16, 0, 1, 0, 0, 8, 3)],
    payload: new Uint8Array(8),
    operations: 1,
  },
  'a write that failed behind its end': {
    control: (c) => [begin(c), say(c, 0x14, 16, 0, 1, 0, 0, 8, 9)],
    payload: new Uint8Array(8),
    operations: 1,
  },
  'a queued operation that failed by itself': {
    control: (c) => [begin(c), say(c, 0x20, 16, 0, 1, 0, 8, 0), say(c, 0x05, 0, 0)],
    operations: 1,
    batches: 1,
  },
  'a queue that is used after its region was closed': {
    control: (c) => [begin(c), say(c, 0x02, 0), say(c, 0x20, 0, 0, 1, 0, 8), say(c, 0x05, 0, 0)],
    operations: 1,
    batches: 1,
  },
  'a batch after its region was closed': {
    control: (c) => [begin(c), say(c, 0x02, 0), say(c, 0x05, 0, 0)],
    batches: 1,
  },
  'a store block of nothing': { control: (c) => [begin(c), say(c, 0x12, 0, 0, 1, 0, 0, 0)], operations: 1 },
  'a store block that the rules refuse': {
    control: (c) => [begin(c), say(c, 0x12, 0, 0, 1, 0, 8, 4096)],
    payload: new Uint8Array(4096),
    operations: 1,
  },
  'a store block that strict rules refuse': {
    control: (c) => [defineRegion(c, 4096, 6), say(c, 0x12, 0, 0, 2, 0, 16, 16, 12)],
    payload: new Uint8Array(24),
    operations: 2,
  },
  'a copy that overlaps itself': {
    control: (c) => [begin(c), say(c, 0x36, 0, 0, 1, 0, 50, 100, 0, 0)],
    operations: 1,
  },
  'a first distance': {
    control: (c) => [begin(c), say(c, 0x13, 1, 0, 2, 0, 0, 8)],
    columns: (c) => c.column(Float64Array.of(8, 8), 2, 'i32'),
    operations: 2,
  },
  'a first time': {
    control: (c) => [begin(c), say(c, 0x13, 64, 0, 2, 0, 0, 8, 8)],
    columns: (c) => c.column(Float64Array.of(1, 1), 2, 'u32'),
    operations: 2,
  },
  'something behind a column': {
    control: (c) => [begin(c), say(c, 0x13, 4, 0, 1, 0, 0)],
    columns: (c) => c.column(Float64Array.of(1, 0, 0, 1), 4, 'u16'),
    operations: 1,
  },
  'something behind a payload': {
    control: (c) => [begin(c), say(c, 0x14, 0, 0, 1, 0, 0, 3)],
    payload: new Uint8Array(8).fill(7),
    operations: 1,
  },
  'queued operations with times': {
    control: (c) => [begin(c), say(c, 0x20, 64, 0, 1, 0, 8), say(c, 0x05, 0, 0)],
    columns: (c) => c.column(Float64Array.of(0), 1, 'u32'),
    operations: 1,
    batches: 1,
  },
  'queued operations in no batch': { control: (c) => [begin(c), say(c, 0x20, 0, 0, 1, 0, 8)], operations: 1 },
  'queued operations and then others': {
    control: (c) => [begin(c), say(c, 0x20, 0, 0, 1, 0, 8), say(c, 0x15, 0, 0, 1, 0), say(c, 0x05, 0, 0)],
    operations: 2,
    batches: 1,
  },
  'a drain that ended without a beginning': { control: (c) => [begin(c), say(c, 0x07, 0, 0)] },
  'a further piece of nothing': { control: (c) => [begin(c), say(c, 0x13, 32, 0, 1, 0, 0, 8)] },
  'a further piece of an operation that was not cut': {
    control: (c) => [begin(c), say(c, 0x13, 0, 0, 1, 0, 0, 8), say(c, 0x13, 32, 0, 1, 0, 8, 8)],
    operations: 1,
  },
  'a name that is no text': {
    control: (c) => [say(c, 0x01, 0, 4096, 2, 4096, 4096, 1), c.append(Uint8Array.of(0xff))],
  },
  'a time without end': { control: (c) => [begin(c), say(c, 0x05, 0, 2 ** 53 - 1), say(c, 0x05, 0, 2 ** 53 - 1)] },
  'a name that is longer than names are': {
    control: (c) => [say(c, 0x01, 0, 4096, 2, 4096, 4096, 5000), c.append(new Uint8Array(5000))],
  },
};

/** A batch of two loads, of 8 bytes and of 5. */
const load = (control: ByteWriter): void => {
  begin(control);
  say(control, 0x20, 0, 0, 1, 0, 8);
  say(control, 0x20, 0, 0, 1, 64, 5);
  say(control, 0x05, 0, 0);
};
const ofLoads = { operations: 2, batches: 1 };
const loadForgeries: Readonly<Record<string, Content>> = {
  'a batch that has not been handed over': { control: (c) => [begin(c), say(c, 0x09, 0, 0, 0)] },
  'a batch of stores': {
    control: (c) => [begin(c), say(c, 0x21, 0, 0, 1, 0, 8), say(c, 0x05, 0, 0), say(c, 0x09, 0, 0, 8)],
    payload: new Uint8Array(16),
    operations: 1,
    batches: 1,
  },
  'more than was loaded': {
    control: (c) => [load(c), say(c, 0x09, 0, 0, 14)],
    payload: new Uint8Array(16),
    ...ofLoads,
  },
  'more that nobody knows than was loaded': { control: (c) => [load(c), say(c, 0x09, 0, 14, 0)], ...ofLoads },
  'something behind the last of it': {
    control: (c) => [load(c), say(c, 0x09, 0, 3, 10), say(c, 0x09, 0, 0, 1)],
    payload: new Uint8Array(24),
    ...ofLoads,
  },
  'more than a piece': {
    control: (c) => [load(c), say(c, 0x09, 0, 0, 2 ** 20 + 1)],
    payload: new Uint8Array(2 ** 20 + 8),
    ...ofLoads,
  },
  'bytes that are not there': { control: (c) => [load(c), say(c, 0x09, 0, 0, 13)], ...ofLoads },
  'something behind its bytes': {
    control: (c) => [load(c), say(c, 0x09, 0, 0, 13)],
    payload: new Uint8Array(16).fill(7),
    ...ofLoads,
  },
  'a batch that is being queued': {
    control: (c) => [load(c), say(c, 0x20, 0, 0, 1, 0, 8), say(c, 0x09, 0, 0, 13), say(c, 0x05, 0, 0)],
    payload: new Uint8Array(16),
    operations: 3,
    batches: 2,
  },
  'a direct load without bytes': { control: (c) => [begin(c), say(c, 0x10, 0, 0, 1, 0, 0, 8)], operations: 1 },
  'a read without all of its bytes': {
    control: (c) => [begin(c), say(c, 0x13, 0, 0, 1, 0, 0, 17)],
    payload: new Uint8Array(16),
    operations: 1,
  },
  'a read that failed, with all of its bytes': {
    control: (c) => [begin(c), say(c, 0x13, 16, 0, 1, 0, 0, 16, 8)],
    payload: new Uint8Array(16),
    operations: 1,
  },
};
const metadataWithLoads = { version: '0', started: '2026-01-01T00:00:00.000Z', payload: true, loads: true };

for (const [what, content] of Object.entries(loadForgeries)) {
  test(`a forged recording of what was loaded is refused: ${what}`, async (t) => {
    const path = forged(t, [content], { metadata: metadataWithLoads });
    for (const read of [inspectRecording, replay]) {
      const error = await rejectsCode(read(path), IsmioError, 'ERR_ISMIO_RECORDING');
      assert.match(error.message, /is damaged at byte \d+: ./);
    }
  });
}

test('a forged recording of what was loaded that is legal is replayed, and compared', async (t) => {
  const content = {
    control: (c: ByteWriter) => [
      load(c),
      say(c, 0x09, 0, 0, 5),
      say(c, 0x09, 0, 4, 0),
      say(c, 0x09, 0, 0, 4),
      say(c, 0x13, 16, 0, 1, 0, 0, 16, 8),
    ],
    payload: new Uint8Array(24),
    operations: 3,
    batches: 1,
  };
  const path = forged(t, [content], { metadata: metadataWithLoads });
  const { regions } = await replay(path, { verifyLoads: true });
  assert.deepEqual(regions[0]?.recalled, { bytes: 5 + 4 + 8, unknown: 4 });
  content.payload[8] = 1; // behind the four that nobody knows
  const other = forged(t, [content], { metadata: metadataWithLoads });
  await rejectsCode(replay(other, { verifyLoads: true }), IsmioError, 'ERR_ISMIO_MISMATCH', {
    offset: 65,
    expected: 1,
  });
});

for (const [what, content] of Object.entries(forgeries)) {
  test(`a forged recording is refused: ${what}`, async (t) => {
    const path = forged(t, [content as Content]);
    const error = await rejectsCode(replay(path), IsmioError, 'ERR_ISMIO_RECORDING');
    assert.match(error.message, /is damaged at byte \d+: ./);
  });
}

const documents: Readonly<Record<string, { metadata?: unknown; end?: unknown }>> = {
  'metadata that is a list': { metadata: [] },
  'metadata without a version': { metadata: { started: '2026-01-01', payload: true } },
  'a date that is none': { metadata: { version: '0', started: 'yesterday', payload: true } },
  'payload that is maybe': { metadata: { version: '0', started: '2026-01-01', payload: 1 } },
  'loads that are maybe': { metadata: { ...metadataWithLoads, loads: 'yes' } },
  'loads without payload': { metadata: { ...metadataWithLoads, payload: false } },
  'an end that is a number': { end: 5 },
  'more operations than there are': { end: { operations: 5, bytes: 0, batches: 0, nanoseconds: 0, failures: [] } },
  'fewer than none': { end: { operations: -1, bytes: 0, batches: 0, nanoseconds: 0, failures: [] } },
  'failures of no form': {
    end: { operations: 0, bytes: 0, batches: 0, nanoseconds: 0, failures: [[0, [[1, 2, 9, 0]]]] },
  },
  'batches that there are not': { end: { operations: 0, bytes: 0, batches: 1, nanoseconds: 0, failures: [] } },
  'a failure of a batch that there is not': {
    end: { operations: 0, bytes: 0, batches: 0, nanoseconds: 0, failures: [[0, [[0, 1, 2, 0]]]] },
  },
  'failures in disorder': {
    end: {
      operations: 0,
      bytes: 0,
      batches: 0,
      nanoseconds: 0,
      failures: [
        [
          0,
          [
            [5, 1, 2, 0],
            [1, 1, 2, 0],
          ],
        ],
      ],
    },
  },
};

for (const [what, document] of Object.entries(documents)) {
  test(`documents that lie are refused: ${what}`, async (t) => {
    await rejectsCode(replay(forged(t, [], document)), IsmioError, 'ERR_ISMIO_RECORDING');
  });
}

test("the seal of a block is Fletcher's sums of what follows, in four lanes of little-endian words", async (t) => {
  const whole = readFileSync(await recorded(t, some));
  const length = 64 + Math.ceil(whole.readUInt32LE(16 + 40) / 16) * 16;
  const seal = [0, 1, 2, 3].map((lane) => {
    let [first, second] = [0n, 0n];
    for (let at = 16 + 32 + 4 * lane; at < 16 + length; at += 16) {
      first = BigInt.asUintN(64, first + BigInt(whole.readUInt32LE(at)));
      second = BigInt.asUintN(64, second + first);
    }
    return second;
  });
  assert.deepEqual(
    seal,
    [0, 8, 16, 24].map((at) => whole.readBigUInt64LE(16 + at)),
  );
});

test('a block that inflates to more than it says is refused', async (t) => {
  const path = await recorded(t, (region) => region.write(0, new Uint8Array(4096)));
  const whole = readFileSync(path);
  const { native } = await import('../src/addon/binding.js');
  const at = 16 + 64 + Math.ceil(whole.readUInt32LE(16 + 40) / 16) * 16;
  const block = new Uint8Array(whole.subarray(at, at + 64 + Math.ceil(whole.readUInt32LE(at + 40) / 16) * 16));
  for (const raw of [0, 64, 1 << 23]) {
    const changed = Uint8Array.from(block);
    new DataView(changed.buffer).setUint32(44, raw, true);
    native.seal(changed);
    const forgery = temporaryFile(
      t,
      Buffer.concat([whole.subarray(0, at), changed, whole.subarray(at + block.length)]),
    );
    await rejectsCode(replay(forgery), IsmioError, 'ERR_ISMIO_RECORDING', { position: at });
  }
});

test('a failure of an operation that its batch does not have is refused', async (t) => {
  const control = (c: ByteWriter): unknown => [begin(c), say(c, 0x20, 0, 0, 1, 0, 8), say(c, 0x05, 0, 0)];
  const end = { operations: 1, bytes: 0, batches: 1, nanoseconds: 0, failures: [[0, [[1, 1, 2, 0]]]] };
  const path = forged(t, [{ control: (c) => void control(c), operations: 1 }], { end });
  await rejectsCode(inspectRecording(path), IsmioError, 'ERR_ISMIO_RECORDING');
});

test('something behind the content of a block is refused, whatever its checksum', async (t) => {
  const whole = readFileSync(await recorded(t, some));
  const { native } = await import('../src/addon/binding.js');
  const length = 64 + Math.ceil(whole.readUInt32LE(16 + 40) / 16) * 16;
  const block = new Uint8Array(whole.subarray(16, 16 + length));
  assert.notEqual(whole.readUInt32LE(16 + 40) % 16, 0, 'the metadata leave room');
  block[length - 1] = 1;
  native.seal(block);
  whole.set(block, 16);
  await rejectsCode(replay(temporaryFile(t, whole)), IsmioError, 'ERR_ISMIO_RECORDING', { position: 16 });
});

test('a region that is closed while its queue drains, and a store that it refused, are no damage', async (t) => {
  const path = join(temporaryFolder(t), 'closed');
  const file = temporaryFile(t, 4096);
  const region = mapFile(file, { writable: false });
  const recorder = record(region, path);
  assert.throws(() => region.store8(0, 1), { code: 'ERR_ISMIO_READ_ONLY' });
  assert.throws(() => region.storeBlock(0, new Uint8Array(0)), { code: 'ERR_ISMIO_READ_ONLY' });
  const queue = region.queue();
  for (let at = 0; at < 4; at++) queue.load(at * 8, allocBuffer(8));
  const drained = queue.drain().catch(() => undefined);
  region.close();
  await drained;
  recorder.close();
  assert.equal((await inspectRecording(path)).operations, 6);
  await replay(path);
});

test('a forged recording that is legal is replayed', async (t) => {
  const path = forged(t, [
    {
      control: (c) => [begin(c), say(c, 0x21, 0, 0, 2, 16, 8, 8), say(c, 0x05, 0, 100)],
      payload: new Uint8Array(16).fill(3),
      operations: 2,
      batches: 1,
    },
  ]);
  const { regions } = await replay(path);
  assert.equal(regions[0]?.verified?.bytes, 16);
});
