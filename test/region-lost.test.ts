// A file that is truncated under its region: the process lives, the region is lost for good, the others go on.
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { test } from 'node:test';
import { allocBuffer, type BatchError, IsmioError, mapFile, type Region } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { rejectsCode, thrownBy, throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';

const size = 64 * 1024;

const accesses: Readonly<Record<string, (region: Region) => unknown>> = {
  load8: (r) => r.load8(size - 1),
  load16: (r) => r.load16(size - 8),
  load32: (r) => r.load32(size - 8),
  load64: (r) => r.load64(size - 8),
  store8: (r) => r.store8(size - 8, 1),
  store16: (r) => r.store16(size - 8, 1),
  store32: (r) => r.store32(size - 8, 1),
  store64: (r) => r.store64(size - 8, 1n),
  storeBlock: (r) => r.storeBlock(size - 4096, new Uint8Array(4096)),
  write: (r) => r.write(4096, new Uint8Array(size - 4096)),
  read: (r) => r.read(0, new Uint8Array(size)),
};

for (const kind of ['memory', 'device'] as const) {
  for (const [name, access] of Object.entries(accesses)) {
    test(`${name} beyond the new end of a truncated file of kind '${kind}' fails, and the region stays lost`, (t) => {
      const path = temporaryFile(t, size);
      using region = mapFile(path, { kind });
      using other = mapFile(temporaryFile(t, pattern(size)), { kind });
      truncateSync(path, 4096);
      region.store64(0, 7n);
      assert.equal(region.load64(0), 7n, 'what is still there can be used');

      const error = throwsCode(() => access(region), IsmioError, 'ERR_ISMIO_REGION_LOST', { region: path });
      assert.ok((error.bytesDone as number) <= 4096, 'no more than what was there is called done');
      truncateSync(path, size);
      throwsCode(() => access(region), IsmioError, 'ERR_ISMIO_REGION_LOST');
      throwsCode(() => region.load8(0), IsmioError, 'ERR_ISMIO_REGION_LOST');

      assert.deepEqual(contents(other), pattern(size), 'the other region is untouched');
      other.store64(0, 1n);
      using again = mapFile(path, { kind });
      again.store64(size - 8, 5n);
      assert.equal(again.load64(size - 8), 5n, 'the file can be opened again');
    });
  }
}

test('accesses to a lost region are errors, and not counted as accesses that went through', (t) => {
  const path = temporaryFile(t, size);
  using region = mapFile(path);
  truncateSync(path, 0);
  throwsCode(() => region.read(0, new Uint8Array(64)), IsmioError, 'ERR_ISMIO_REGION_LOST', { bytesDone: 0 });
  throwsCode(() => region.store64(0, 1n), IsmioError, 'ERR_ISMIO_REGION_LOST', { bytesDone: 0 });
  const { loads, stores, bytes, errors } = region.stats();
  assert.deepEqual({ loads, stores, bytes, errors }, { loads: 0, stores: 0, bytes: 0, errors: 2 });
});

function checkNothingDone(error: BatchError, operations: number): void {
  assert.equal(error.index, 0);
  assert.equal(error.operations.length, operations);
  assert.equal(error.operations[0]?.state, 'failed');
  assert.ok(error.operations.every((operation) => operation.bytesDone === 0));
  assert.ok(error.operations.slice(1).every((operation) => operation.state === 'skipped'));
  assert.equal(error.completion.operations, operations);
  assert.equal(error.completion.issued, 0);
  assert.equal(error.completion.bytes, 0);
}

for (const merge of ['none', 'adjacent', 'any'] as const) {
  for (const count of [10, 64, 200]) {
    test(`a batch of ${count} scattered stores with merge '${merge}' to a lost region is wholly undone`, async (t) => {
      const path = temporaryFile(t, size);
      using region = mapFile(path);
      const queue = region.queue({ merge });
      truncateSync(path, 0);
      const fill = (): void => {
        for (let i = 0; i < count; i++) queue.storeWords(i * 64, i, i);
      };
      fill();
      const error = thrownBy(() => queue.submit()) as unknown as BatchError;
      assert.equal(error.code, 'ERR_ISMIO_REGION_LOST');
      checkNothingDone(error, count);
      fill();
      const drained = await rejectsCode(queue.drain(), IsmioError, 'ERR_ISMIO_REGION_LOST');
      checkNothingDone(drained as unknown as BatchError, count);
    });
  }
}

// Under qemu-user 7.2 this ended with a segmentation fault in about one run of fifteen, and never on a CPU of its own; the
// cause was not found, an emulator that maps and runs in two threads is suspected. The rest of this file runs there too.
const emulated = process.env['S390X_WRAPPER'] !== undefined;
const crashes =
  emulated &&
  'under the CPU emulator it sometimes ends with a segmentation fault; cause not found, the emulator is suspected';

test('a region that is lost while drains are in flight rejects them, and the process lives', {
  skip: crashes,
}, async (t) => {
  const path = temporaryFile(t, size);
  using region = mapFile(path);
  const queue = region.queue({ depth: 4096 });
  const source = allocBuffer(16 * 1024);
  const drain = (): Promise<unknown> => {
    for (let i = 0; i < 1000; i++) queue.write((i % 4) * 16 * 1024, source);
    return queue.drain();
  };
  const before = [drain(), drain(), drain()];
  truncateSync(path, 0);
  const after = drain();
  for (const result of await Promise.allSettled(before)) {
    // How far they are when the file is truncated is not known; those that are not through are lost.
    if (result.status === 'rejected') assert.equal(result.reason.code, 'ERR_ISMIO_REGION_LOST');
  }
  await rejectsCode(after, IsmioError, 'ERR_ISMIO_REGION_LOST', { index: 0 });
});

test('a read-only region is lost just so', (t) => {
  const path = temporaryFile(t, size);
  using region = mapFile(path, { writable: false });
  truncateSync(path, 0);
  throwsCode(() => region.load64(0), IsmioError, 'ERR_ISMIO_REGION_LOST');
});
