// storeBlock is exactly one store block, or a refusal that names the rule and the errno of ism-vfio-pci.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { emulate, mapFile, type Region, type Rules } from 'ismio';
import { contents, pattern } from './support/bytes.js';
import { throwsCode } from './support/errors.js';
import { temporaryFile } from './support/files.js';
import { legalStoreBlock } from './support/oracle.js';

const relaxed: Partial<Rules> = { maxStoreBlock: 128, boundary: 256 };
const strict: Partial<Rules> = { ...relaxed, alignment: 'strict' };

function refusesBlock(region: Region, offset: number, length: number, rule: string, errno: string): void {
  const before = contents(region);
  const counted = region.stats();
  const source = pattern(length);
  const values = { rule, errno, offset, length, region: region.name };
  const error = throwsCode(() => region.storeBlock(offset, source), RangeError, 'ERR_ISMIO_RULE', values);
  assert.match(error.message, new RegExp(`'${rule}'`));
  const { storeBlocks, stores } = region.stats();
  assert.deepEqual([storeBlocks, stores], [counted.storeBlocks, counted.stores], 'nothing was issued');
  assert.deepEqual(contents(region), before, 'nothing was stored');
}

const backends: readonly [string, (rules: Partial<Rules>, path: string) => Region][] = [
  ['emulated', (rules) => emulate({ size: 1024, rules })],
  ['mapped', (rules, path) => mapFile(path, { rules })],
];

for (const [backend, open] of backends) {
  describe(`a store block on ${backend} memory`, () => {
    test('of length 0 is refused', (t) => {
      using region = open(relaxed, temporaryFile(t, 1024));
      for (const offset of [0, 5, 1024]) refusesBlock(region, offset, 0, 'length', 'ENXIO');
    });

    test('longer than maxStoreBlock is refused, and just as long is not', (t) => {
      using region = open(relaxed, temporaryFile(t, 1024));
      refusesBlock(region, 0, 129, 'maxStoreBlock', 'EINVAL');
      refusesBlock(region, 0, 1024, 'maxStoreBlock', 'EINVAL');
      region.storeBlock(0, pattern(128));
      assert.deepEqual(contents(region, 0, 128), pattern(128));
    });

    test('across a boundary is refused, and up to it is not', (t) => {
      using region = open(relaxed, temporaryFile(t, 1024));
      refusesBlock(region, 255, 2, 'boundary', 'EINVAL');
      refusesBlock(region, 512 - 127, 128, 'boundary', 'EINVAL');
      region.storeBlock(512 - 128, pattern(128));
      region.storeBlock(255, Uint8Array.of(9));
      assert.equal(region.load8(255), 9);
    });

    test('at an odd offset is refused by a strict region only', (t) => {
      using region = open(strict, temporaryFile(t, 1024));
      for (let offset = 1; offset < 8; offset++) refusesBlock(region, offset, 16, 'offsetAlignment', 'ENXIO');
      using lax = open(relaxed, temporaryFile(t, 1024));
      lax.storeBlock(1, pattern(16));
      assert.deepEqual(contents(lax, 1, 16), pattern(16));
    });

    test('of a length that is no multiple of 8 is refused by a strict region only', (t) => {
      using region = open(strict, temporaryFile(t, 1024));
      for (const length of [1, 7, 9, 15, 17, 127]) refusesBlock(region, 8, length, 'lengthAlignment', 'ENXIO');
      using lax = open(relaxed, temporaryFile(t, 1024));
      lax.storeBlock(8, pattern(15));
      assert.deepEqual(contents(lax, 8, 15), pattern(15));
    });

    test('of 8 bytes is refused by a strict region only', (t) => {
      using region = open(strict, temporaryFile(t, 1024));
      refusesBlock(region, 8, 8, 'length', 'ENXIO');
      region.storeBlock(8, pattern(16));
      using lax = open(relaxed, temporaryFile(t, 1024));
      lax.storeBlock(8, pattern(8));
      assert.equal(lax.stats().storeBlocks, 1);
    });

    test('past the end is out of range, whatever the rules', (t) => {
      using region = open(relaxed, temporaryFile(t, 1024));
      const values = { offset: 1020, length: 8, size: 1024 };
      throwsCode(() => region.storeBlock(1020, new Uint8Array(8)), RangeError, 'ERR_ISMIO_OUT_OF_RANGE', values);
    });
  });
}

test('every block of up to 40 bytes is taken or refused just as the hardware facts say', () => {
  for (const alignment of ['relaxed', 'strict'] as const) {
    const limits = { maxStoreBlock: 24, boundary: 32, alignment };
    using region = emulate({ size: 256, rules: limits });
    for (let offset = 0; offset <= 72; offset++) {
      for (let length = 0; length <= 40; length++) {
        const source = new Uint8Array(length);
        if (legalStoreBlock(limits, offset, length)) region.storeBlock(offset, source);
        else throwsCode(() => region.storeBlock(offset, source), RangeError, 'ERR_ISMIO_RULE', { offset, length });
      }
    }
  }
});

test('a refusal is counted as an error', () => {
  using region = emulate({ size: 64, rules: { alignment: 'strict' } });
  throwsCode(() => region.storeBlock(1, new Uint8Array(16)), RangeError, 'ERR_ISMIO_RULE');
  assert.equal(region.stats().errors, 1);
});
