// Where bytes come from and go to: every kind of buffer, and those that were taken away.
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { allocBuffer, type BytesLike, emulate, freeBuffer, type Region } from 'ismio';
import * as other from '../src/access/memory.js';
import { contents, pattern } from './support/bytes.js';
import { rejectsCode, throwsCode } from './support/errors.js';

const bytes = pattern(64);

/** Resizable buffers are newer than the library that the types are taken from. */
type Resizable = ArrayBuffer & { resize(length: number): void };
type Growable = SharedArrayBuffer & { grow(length: number): void };
const resizable = (length: number, most: number): Resizable =>
  new (ArrayBuffer as unknown as new (l: number, o: object) => Resizable)(length, { maxByteLength: most });
const growable = (length: number, most: number): Growable =>
  new (SharedArrayBuffer as unknown as new (l: number, o: object) => Growable)(length, { maxByteLength: most });

function filled<Buffer extends ArrayBufferLike>(buffer: Buffer, offset = 0): Buffer {
  new Uint8Array(buffer, offset).set(bytes.subarray(0, buffer.byteLength - offset));
  return buffer;
}

const shifted = filled(new ArrayBuffer(72), 8);

/** All of them hold the same 64 bytes. */
const kinds: Readonly<Record<string, BytesLike>> = {
  Uint8Array: bytes.slice(),
  Buffer: Buffer.from(bytes),
  'Buffer from the pool': Buffer.allocUnsafe(64).fill(bytes),
  Int8Array: new Int8Array(bytes.slice().buffer),
  Uint8ClampedArray: new Uint8ClampedArray(bytes),
  Uint16Array: new Uint16Array(bytes.slice().buffer),
  Uint32Array: new Uint32Array(bytes.slice().buffer),
  Float32Array: new Float32Array(bytes.slice().buffer),
  Float64Array: new Float64Array(bytes.slice().buffer),
  BigUint64Array: new BigUint64Array(bytes.slice().buffer),
  DataView: new DataView(bytes.slice().buffer),
  'a view into the middle': new Uint8Array(shifted, 8),
  'an unaligned view': new Uint8Array(filled(new ArrayBuffer(65), 1), 1),
  'a wide view into the middle': new Float64Array(shifted, 8),
  ArrayBuffer: bytes.slice().buffer,
  SharedArrayBuffer: filled(new SharedArrayBuffer(64)),
  'a view of a SharedArrayBuffer': new Uint8Array(filled(new SharedArrayBuffer(64))),
  'a resizable ArrayBuffer': filled(resizable(64, 128)),
  'a view that tracks a resizable ArrayBuffer': new Uint8Array(filled(resizable(64, 128))),
  'a growable SharedArrayBuffer': filled(growable(64, 128)),
  allocBuffer: filled(allocBuffer(64).buffer),
  'a wide view of allocBuffer memory': new Float64Array(filled(allocBuffer(64).buffer)),
  'a Uint8Array of another realm': runInNewContext('Uint8Array.from(bytes)', { bytes: [...bytes] }) as Uint8Array,
  'an ArrayBuffer of another realm': runInNewContext('Uint8Array.from(bytes).buffer', {
    bytes: [...bytes],
  }) as ArrayBuffer,
};

function clear(target: BytesLike): void {
  const view = ArrayBuffer.isView(target)
    ? new Uint8Array(target.buffer, target.byteOffset, 64)
    : new Uint8Array(target);
  view.fill(0);
}

function bytesIn(source: BytesLike): Uint8Array {
  const view = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, 64)
    : new Uint8Array(source);
  return Uint8Array.from(view);
}

describe('takes bytes from, and gives them to,', () => {
  for (const [name, buffer] of Object.entries(kinds)) {
    test(name, () => {
      using region = emulate({ size: 1024 });
      const queue = region.queue();
      region.write(3, buffer);
      region.storeBlock(128, buffer);
      queue.write(257, buffer);
      queue.submit();
      for (const at of [3, 128, 257]) assert.deepEqual(contents(region, at, 64), bytes);

      clear(buffer);
      region.read(3, buffer);
      assert.deepEqual(bytesIn(buffer), bytes);
      clear(buffer);
      queue.load(257, buffer);
      queue.submit();
      assert.deepEqual(bytesIn(buffer), bytes);
    });
  }
});

const uses: Readonly<Record<string, (region: Region, buffer: BytesLike) => unknown>> = {
  'region.read': (r, b) => r.read(0, b),
  'region.write': (r, b) => r.write(0, b),
  'region.storeBlock': (r, b) => r.storeBlock(0, b),
  'queue.write': (r, b) => r.queue().write(0, b),
  'queue.load': (r, b) => r.queue().load(0, b),
};

function takenAway(): Readonly<Record<string, BytesLike>> {
  const detached = new ArrayBuffer(64);
  const views = {
    'a detached ArrayBuffer': detached,
    'a view of a detached buffer': new Uint8Array(detached),
    'a wide view of a detached buffer': new Float64Array(detached),
    'a DataView of a detached buffer': new DataView(detached),
    'an empty view of a detached buffer': new Uint8Array(detached, 8, 0),
  };
  structuredClone(detached, { transfer: [detached] });
  const shrunk = resizable(64, 64);
  const outside = {
    'a view that its buffer shrank under': new Uint8Array(shrunk, 8, 32),
    'a wide view that its buffer shrank under': new Float64Array(shrunk, 8, 4),
    'a DataView that its buffer shrank under': new DataView(shrunk, 8, 32),
    'a tracking view that now begins past the end': new Uint8Array(shrunk, 48),
  };
  shrunk.resize(16);
  return { ...views, ...outside };
}

describe('a buffer that was taken away is refused by', () => {
  for (const [name, use] of Object.entries(uses)) {
    test(name, () => {
      for (const [what, buffer] of Object.entries(takenAway())) {
        using region = emulate({ size: 256 });
        region.write(0, pattern(256));
        assert.doesNotThrow(() => throwsCode(() => use(region, buffer), TypeError, 'ERR_ISMIO_DETACHED'), what);
        assert.deepEqual(contents(region), pattern(256));
      }
    });
  }
});

test('a view that tracks its buffer has the length that its buffer has', () => {
  using region = emulate({ size: 256 });
  const buffer = filled(resizable(64, 128));
  const view = new Uint8Array(buffer);
  buffer.resize(16);
  region.write(0, view);
  assert.equal(region.stats().bytes, 16);
  buffer.resize(128);
  region.write(0, view);
  assert.equal(region.stats().bytes, 16 + 128);
  buffer.resize(0);
  region.write(0, view);
  assert.equal(region.stats().bytes, 16 + 128);
});

test('a source may be taken away once it is queued: it was copied', () => {
  using region = emulate({ size: 256 });
  const queue = region.queue();
  const source = bytes.slice();
  queue.write(0, source);
  structuredClone(source.buffer, { transfer: [source.buffer] });
  queue.submit();
  assert.deepEqual(contents(region, 0, 64), bytes);
});

test('a target that is taken away while its load is queued is told of, and the process lives', async () => {
  using region = emulate({ size: 256 });
  region.write(0, bytes);
  const queue = region.queue();
  const gone = new Uint8Array(64);
  const stays = new Uint8Array(64);
  queue.load(0, gone);
  queue.load(0, stays);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  throwsCode(() => queue.submit(), TypeError, 'ERR_ISMIO_DETACHED');
  assert.deepEqual(stays, bytes, 'the other load has its bytes');

  const other = new Uint8Array(64);
  queue.load(0, other);
  const draining = queue.drain();
  structuredClone(other.buffer, { transfer: [other.buffer] });
  await rejectsCode(draining, TypeError, 'ERR_ISMIO_DETACHED');
  queue.load(0, stays);
  assert.equal(queue.submit().loads, 8);
});

test('allocBuffer memory is zeroed, of the size asked for, and apart from other such memory', () => {
  for (const size of [1, 7, 4096, 4097, 3 * 2 ** 20]) {
    const buffer = allocBuffer(size);
    assert.equal(buffer.byteLength, size);
    assert.equal(buffer.byteOffset, 0);
    assert.ok(buffer.every((byte) => byte === 0));
    buffer.fill(0xff);
  }
});

test('more allocBuffer memory than there can be is refused', () => {
  const tooMany = [constants.MAX_LENGTH + 1, 2 ** 52].filter((size) => size > constants.MAX_LENGTH);
  for (const size of [0, ...tooMany.filter(Number.isSafeInteger)])
    throwsCode(() => allocBuffer(size), RangeError, 'ERR_ISMIO_OPTION', { bytes: size });
});

test('allocBuffer memory that was offered to another thread can still be used', () => {
  using region = emulate({ size: 4096 });
  const source = allocBuffer(64);
  source.set(bytes);
  try {
    structuredClone(source.buffer, { transfer: [source.buffer] }); // refused, or a clone, as Node.js sees fit
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError');
  }
  region.write(0, source);
  assert.deepEqual(contents(region, 0, 64), bytes);
});

type Transferable = ArrayBuffer & { transfer(): ArrayBuffer };
const cannotDetach = !('transfer' in ArrayBuffer.prototype) && 'this Node.js cannot detach memory that an addon made';

test('allocBuffer memory that is detached is refused, and what was queued from it is stored', {
  skip: cannotDetach,
}, () => {
  using region = emulate({ size: 4096 });
  const queue = region.queue();
  const source = allocBuffer(64);
  source.set(bytes);
  queue.write(0, source);
  const moved = new Uint8Array((source.buffer as Transferable).transfer());
  throwsCode(() => queue.write(128, source), TypeError, 'ERR_ISMIO_DETACHED');
  throwsCode(() => region.write(128, source), TypeError, 'ERR_ISMIO_DETACHED');
  queue.write(256, moved);
  queue.submit();
  assert.deepEqual(contents(region, 256, 64), bytes, 'who has it now can use it');
  assert.deepEqual(contents(region, 128, 64), new Uint8Array(64));
  assert.deepEqual(contents(region, 0, 64), bytes);
});

test('a buffer of another copy of the package is copied as ordinary memory is, and counted so', () => {
  assert.notEqual(other.allocBuffer, allocBuffer);
  const copiesOf = (source: Uint8Array): number => {
    using region = emulate({ size: 4096 });
    const queue = region.queue();
    queue.write(0, source.fill(1));
    source.fill(2);
    const { copies } = queue.submit();
    assert.equal(region.load8(0), copies === 0 ? 2 : 1);
    return copies;
  };
  assert.equal(copiesOf(allocBuffer(64)), 0);
  assert.equal(copiesOf(other.allocBuffer(64)), 1);
  assert.equal(copiesOf(other.allocBuffer(64, { shared: true })), 0, 'shared memory is found by its address');
  const error = throwsCode(() => freeBuffer(other.allocBuffer(64)), RangeError, 'ERR_ISMIO_OPTION');
  assert.match(error.message, /copy of the package/);
});
