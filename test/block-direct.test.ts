// Disks past the page cache: what O_DIRECT wants of every read and write, and that nothing beside a range changes.
import assert from 'node:assert/strict';
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { IsmioError } from 'ismio';
import { openFileDisk } from 'ismio/block';
import { Aligned } from '../src/block/aligned.js';
import { alignmentOf } from '../src/block/file-facts.js';
import { rejectsCode } from './support/errors.js';
import { temporaryFolder } from './support/files.js';
import { sequence } from './support/random.js';

/** Of the folder where tests make their files. */
const noDirect = (() => {
  const folder = temporaryFolder({ after: (end) => process.once('exit', end) });
  const path = join(folder, 'probe');
  writeFileSync(path, Buffer.alloc(4096));
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_DIRECT));
    return false;
  } catch {
    return 'the file system of temporary files has no O_DIRECT';
  }
})();

function file(t: TestContext, size: number): string {
  const path = join(temporaryFolder(t), 'disk');
  writeFileSync(path, Buffer.alloc(size, 0x11));
  return path;
}

test('reads and writes of any range, beside an oracle, end in the file', { skip: noDirect }, async (t) => {
  const size = 700 * 1024;
  const path = file(t, size);
  const disk = await openFileDisk(path, { direct: true });
  const oracle = Buffer.alloc(size, 0x11);
  const draw = sequence(12);
  for (let i = 0; i < 80; i++) {
    const offset = draw(size);
    const length = Math.min(1 + draw([600, 9000, 400_000][draw(3)] as number), size - offset);
    const what = draw(4);
    if (what === 0) {
      await disk.zero(offset, length, { mayTrim: draw(2) === 0 });
      oracle.fill(0, offset, offset + length);
    } else if (what === 1) {
      const pieces = [Buffer.alloc(draw(length), i), Buffer.alloc(0)];
      pieces.push(Buffer.alloc(length - (pieces[0] as Buffer).length, i + 1));
      await disk.writePieces(offset, pieces, { fua: i % 8 === 0 });
      Buffer.concat(pieces).copy(oracle, offset);
    } else {
      await disk.write(offset, Buffer.alloc(length, i));
      oracle.fill(i, offset, offset + length);
    }
    const at = draw(size);
    const target = Buffer.alloc(Math.min(50_000, size - at));
    await disk.read(at, target);
    assert.ok(target.equals(oracle.subarray(at, at + target.length)), `step ${i}`);
  }
  await disk.close();
  assert.ok(readFileSync(path).equals(oracle));
});

test('parts of one block that are written at a time all come to stay, beside zeros and trims', {
  skip: noDirect,
}, async (t) => {
  const path = file(t, 65_536);
  const disk = await openFileDisk(path, { direct: true });
  const expected = Buffer.alloc(65_536, 0x11);
  const work: Promise<void>[] = [];
  for (let at = 0; at < 16_384; at += 256) {
    const isZero = (at / 256) % 5 === 0;
    work.push(isZero ? disk.zero(at, 256) : disk.write(at, Buffer.alloc(256, at / 256)));
    expected.fill(isZero ? 0 : at / 256, at, at + 256);
  }
  await Promise.all(work);
  await disk.close();
  assert.ok(readFileSync(path).equals(expected));
});

test('a file whose size is no multiple of a sector is refused, and one of sectors is not', {
  skip: noDirect,
}, async (t) => {
  await rejectsCode(openFileDisk(file(t, 1000), { direct: true }), RangeError, 'ERR_ISMIO_OPTION', { size: 1000 });
  await rejectsCode(openFileDisk(file(t, 512), { direct: 1 } as object), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE');
  const path = file(t, 3 * 512);
  const disk = await openFileDisk(path, { direct: true }).catch((error: IsmioError) => error);
  if (disk instanceof Error) {
    assert.equal(disk.code, 'ERR_ISMIO_OPEN'); // of a medium whose sectors are longer
    return;
  }
  await disk.write(1, Buffer.alloc(1500, 9));
  await disk.close();
  assert.equal(readFileSync(path).filter((byte) => byte === 9).length, 1500);
  assert.equal(readFileSync(path).length, 3 * 512);
});

test('where the file system refuses, the error says what to leave out', async () => {
  // Files of the kernel's own have no O_DIRECT, on any machine.
  const refused = openFileDisk('/proc/self/status', { readOnly: true, direct: true });
  await rejectsCode(refused, IsmioError, 'ERR_ISMIO_OPEN', { errno: 'EINVAL' });
  await assert.rejects(openFileDisk('/proc/self/status', { readOnly: true, direct: true }), /direct.*leave it out/);
});

test('where a file is opened but its reads are refused, as on a medium of longer blocks, the error says what to leave out', async () => {
  const refusing = { read: () => Promise.reject(Object.assign(new Error('refused'), { code: 'EINVAL' })) };
  await assert.rejects(alignmentOf(refusing, '/own', 512), {
    code: 'ERR_ISMIO_OPEN',
    path: '/own',
    errno: 'EINVAL',
    message: /^cannot open \/own direct: EINVAL: .*leave it out$/,
  });
});

/** Takes whole blocks alone, as the kernel does, one after the other, and fails where told to. */
class StrictMedium {
  readonly bytes: Buffer;
  readonly calls: string[] = [];
  fails = false;

  constructor(size: number) {
    this.bytes = Buffer.alloc(size, 0x22);
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    this.#check('read', offset, target);
    await new Promise(setImmediate);
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  async write(offset: number, source: Uint8Array): Promise<void> {
    this.#check('write', offset, source);
    await new Promise(setImmediate);
    this.bytes.set(source, offset);
  }

  #check(what: string, offset: number, { byteOffset, length }: Uint8Array): void {
    this.calls.push(`${what} ${offset} ${length}`);
    if (this.fails) throw Object.assign(new Error('the medium'), { code: 'EIO' });
    const isWhole = offset % 4096 === 0 && length % 4096 === 0 && byteOffset % 4096 === 0 && length > 0;
    assert.ok(isWhole && offset + length <= this.bytes.length, `${what} of ${length} at ${offset}`);
  }
}

test('whole blocks go in one write, a part of a block costs one read, and a range within one block costs no more', async () => {
  const medium = new StrictMedium(65_536);
  const aligned = new Aligned(medium, 4096);
  await aligned.write(4096, Buffer.alloc(8192, 1));
  await aligned.write(100, Buffer.alloc(10, 2));
  await aligned.write(4095, Buffer.alloc(4098, 3));
  assert.deepEqual(medium.calls, [
    'write 4096 8192',
    'read 0 4096',
    'write 0 4096',
    'read 0 4096',
    'read 8192 4096',
    'write 0 12288',
  ]);
});

test('long ranges go in windows, and overlapping writes leave no block mixed with what it was before', async () => {
  const medium = new StrictMedium(2 ** 20);
  const aligned = new Aligned(medium, 4096);
  const bytes = Buffer.from(Array.from({ length: 900_001 }, (_, i) => i % 249));
  await aligned.write(333, bytes);
  assert.ok(medium.bytes.subarray(333, 333 + bytes.length).equals(bytes));
  const target = Buffer.alloc(bytes.length);
  await aligned.read(333, target);
  assert.ok(target.equals(bytes));
  await Promise.all([aligned.write(8192 + 10, Buffer.alloc(5, 0xb)), aligned.write(8192, Buffer.alloc(4096, 0xa))]);
  for (const byte of medium.bytes.subarray(8192, 12_288)) assert.ok(byte === 0xa || byte === 0xb);
});

test('a medium that fails fails the call alone: the next one is served', async () => {
  const medium = new StrictMedium(16_384);
  const aligned = new Aligned(medium, 4096);
  medium.fails = true;
  await assert.rejects(aligned.write(10, Buffer.alloc(10)), { code: 'EIO' });
  await assert.rejects(aligned.read(10, Buffer.alloc(10)), { code: 'EIO' });
  medium.fails = false;
  await aligned.write(10, Buffer.alloc(2, 5));
  assert.deepEqual([...medium.bytes.subarray(9, 13)], [0x22, 5, 5, 0x22]);
});
