// How much of its time a caller saves with store blocks: 4 KiB word by word, and the same in blocks, in turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openVfio, type Region } from 'ismio';
import { pattern } from '../../../support/bytes.js';
import { bind } from '../../support/pci.js';
import { address } from '../machine.js';

const pageBytes = 4096;
const words = pageBytes / 8;
const bytes = pattern(pageBytes);
const rounds = 11;

/** Queued, so that each way crosses into native code once. */
function wordByWord(region: Region): () => void {
  const queue = region.queue({ depth: words, merge: 'none' });
  return () => {
    for (let word = 0; word < words; word++) queue.storeWords(word * 8, word, 0);
    assert.equal(queue.submit().stores, words);
  };
}

function inBlocks(region: Region): () => void {
  const queue = region.queue({ depth: 1, merge: 'none' });
  return () => {
    queue.write(0, bytes);
    assert.equal(queue.submit().storeBlocks, pageBytes / region.rules.maxStoreBlock);
  };
}

test('32 store blocks take less of a caller’s time than 512 stores', () => {
  bind(address('ism'), 'ism_vfio_pci');
  bind(address('plain'), 'vfio-pci');
  using ism = openVfio(address('ism'));
  using plain = openVfio(address('plain'));
  plain.enableMemory();
  using window = ism.region(0);
  using byPwrite = plain.region(0, { access: 'pread' });
  using byCalls = plain.region(0, { rules: { maxStoreBlock: 128, alignment: 'strict' } });
  const ways = [
    ['pwrite: 512 on vfio-pci, 32 on ism-vfio-pci', byPwrite, window],
    ['system calls: 512 with 8 bytes, 32 with 128', byCalls, byCalls],
  ] as const;
  for (const [what, one, other] of ways) {
    const [slow, fast] = [wordByWord(one), inBlocks(other)];
    const times = Array.from({ length: rounds }, () => [timeOf(slow, one), timeOf(fast, other)] as const);
    const ratio = median(times.map(([words, blocks]) => words / blocks));
    const [perWord, batched] = [0, 1].map((way) => median(times.map((pair) => pair[way] as number)).toFixed(0));
    console.log(`4 KiB by ${what}: ${perWord} us to ${batched} us, ${ratio.toFixed(1)} times`);
    assert.ok(ratio > 1, `${what}: ${ratio}`);
  }
});

/** Until the call is back. QEMU posts stores to the server; the load after them, which is not timed, waits for all. */
function timeOf(act: () => void, region: Region): number {
  const began = performance.now();
  act();
  const microseconds = (performance.now() - began) * 1000;
  region.load64(0);
  return microseconds;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}
