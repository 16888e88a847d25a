// The emulated region refuses what Linux's ism-vfio-pci refuses, and with the same errno: case by case.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { emulate, IsmioError, openVfio } from 'ismio';
import { throwsCode } from '../../../support/errors.js';
import { bind } from '../../support/pci.js';
import { address } from '../machine.js';
import { type Answer, pwrite, storeBlock } from './answers.js';
import { cases } from './refusals.js';

const bdf = address('ism');
const size = 2 ** 48;
const strict = { maxStoreBlock: 128, alignment: 'strict' } as const;
/** As little as can be is refused before it reaches the kernel: a block longer than the function's own is. */
const trusting = { boundary: 1 << 20, alignment: 'relaxed' } as const;

before(() => bind(bdf, 'ism_vfio_pci'));

for (const { what, offset, length, answer } of cases) {
  test(`${what}: the kernel answers ${answer}, and the emulated region agrees`, () => {
    using device = openVfio(bdf);
    using region = device.region(0);
    using emulated = emulate({ size, rules: strict });
    assert.equal(pwrite(offset, length), answer, 'pwrite, past the package');
    const real = storeBlock(region, offset, length);
    assert.deepEqual(real, storeBlock(emulated, offset, length), 'the same code, rule and errno');
    if (offset + length > size || length === 0) return; // refused before any rule is asked
    assert.equal(errnoOf(real), typeof answer === 'string' ? answer : undefined);
    using unchecked = device.region(0, { rules: trusting });
    assert.equal(errnoOf(storeBlock(unchecked, offset, length)), errnoOf(real), 'where the kernel itself is asked');
  });
}

test('a batch stops at the block that the kernel refuses, and says which it was', () => {
  using device = openVfio(bdf);
  using region = device.region(0, { rules: trusting });
  using queue = region.queue();
  const block = new Uint8Array(128).fill(0x5a);
  for (const offset of [0x6000, 0x6fc0, 0x7000]) queue.write(offset, block);
  const values = { errno: 'EINVAL', index: 1, offset: 0x6fc0, length: 128, bytesDone: 0 };
  const { operations } = throwsCode(() => queue.submit(), IsmioError, 'ERR_ISMIO_SYSTEM', values);
  assert.deepEqual(
    (operations as { state: string }[]).map(({ state }) => state),
    ['failed', 'skipped'],
  );
  assert.deepEqual([region.load64(0x7000), region.stats().storeBlocks], [0n, 1]);
});

function errnoOf(answer: Answer): string | undefined {
  return answer === 'done' ? undefined : answer.errno;
}
