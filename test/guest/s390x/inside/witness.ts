// The kernel as witness: what the engine counted is what the function itself counted. docs/witness.md has the table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openVfio, type Region, type VfioDevice } from 'ismio';
import { pattern } from '../../../support/bytes.js';
import { throwsCode } from '../../../support/errors.js';
import { bind } from '../../support/pci.js';
import { address, type FunctionName } from '../machine.js';
import { Counters, type Counts } from './counters.js';

/** Each work moves so many pages; what is told is told for one. */
const pages = 4;
const pageBytes = 4096;
const words = pageBytes / 8;
/** maxstbl of QEMU's functions. */
const blocks = pageBytes / 128;
const bytes = pattern(pageBytes);

interface Work {
  readonly what: string;
  readonly open: (device: VfioDevice) => Region;
  readonly page: (region: Region) => void;
  /** What a page takes. */
  readonly engine: Counts;
  /** What the kernel makes of it, where that is something else. */
  readonly kernel?: Counts;
}

interface Row {
  readonly what: string;
  readonly engine: Counts;
  readonly kernel: Counts;
}

const write = (region: Region) => region.write(0, bytes);
const queued = (merge: 'none' | 'adjacent') => (region: Region) => {
  const queue = region.queue({ depth: words, merge });
  for (let word = 0; word < words; word++) queue.storeWords(word * 8, word, 0);
  queue.submit();
  queue.close();
};
const read = (region: Region) => region.read(0, new Uint8Array(pageBytes));

const refused = (region: Region) =>
  throwsCode(() => region.store64(0, 1n), RangeError, 'ERR_ISMIO_RULE', { rule: 'singleStores', errno: 'ENXIO' });

const nothing: Counts = { loads: 0, stores: 0, storeBlocks: 0 };
const loaded: Counts = { loads: words, stores: 0, storeBlocks: 0 };
const stored: Counts = { loads: 0, stores: words, storeBlocks: 0 };
const planned: Counts = { loads: 0, stores: 0, storeBlocks: blocks };

const whole = (device: VfioDevice) => device.region(0);
const onIsm: readonly Work[] = [
  { what: 'ism-vfio-pci: a write, planned', open: whole, page: write, engine: planned },
  { what: 'ism-vfio-pci: 512 queued stores, merged', open: whole, page: queued('adjacent'), engine: planned },
  { what: 'ism-vfio-pci: a read', open: whole, page: read, engine: loaded },
  { what: 'ism-vfio-pci: a store of 8 bytes, refused (ENXIO)', open: whole, page: refused, engine: nothing },
];

const byPwrite = (device: VfioDevice) => device.region(0, { access: 'pread' });
const byCalls = (device: VfioDevice) =>
  device.region(0, { rules: { maxStoreBlock: 128, alignment: 'strict', merge: 'window' } });
const onPlain: readonly Work[] = [
  { what: 'vfio-pci, pwrite: a store for each word', open: byPwrite, page: queued('none'), engine: stored },
  {
    what: 'vfio-pci, pwrite: a write, one call',
    open: byPwrite,
    page: write,
    engine: { loads: 0, stores: 0, storeBlocks: 1 },
    kernel: stored, // vfio-pci knows no store blocks: it cuts a pwrite into stores
  },
  { what: 'vfio-pci, pread: a read', open: byPwrite, page: read, engine: loaded },
];
const onOther: readonly Work[] = [
  { what: 'system calls: a store for each word', open: byCalls, page: queued('none'), engine: stored },
  { what: 'system calls: a write, planned', open: byCalls, page: write, engine: planned },
  { what: 'system calls: 512 queued stores, merged', open: byCalls, page: queued('adjacent'), engine: planned },
  { what: 'system calls: a read', open: byCalls, page: read, engine: loaded },
];

test('the engine counts what the kernel counts: loads, stores and store blocks', async () => {
  // The functions take turns: what takes its time is waiting for their counters.
  const measured = await Promise.all([
    rowsOf('ism', 'ism_vfio_pci', onIsm),
    rowsOf('plain', 'vfio-pci', onPlain),
    rowsOf('other', 'vfio-pci', onOther),
  ]);
  const rows = measured.flat();
  console.log(table(rows).join('\n'));
  for (const work of [...onIsm, ...onPlain, ...onOther]) {
    const row = rows.find(({ what }) => what === work.what);
    assert.deepEqual(row?.engine, work.engine, `${work.what}: the engine`);
    assert.deepEqual(row?.kernel, work.kernel ?? work.engine, `${work.what}: the kernel`);
  }
});

async function rowsOf(name: FunctionName, driver: string, works: readonly Work[]): Promise<Row[]> {
  bind(address(name), driver);
  using device = openVfio(address(name));
  device.enableMemory();
  const counters = new Counters(address(name));
  const rows: Row[] = [];
  for (let before = await counters.settled(); rows.length < works.length; ) {
    const work = works[rows.length] as Work;
    using region = work.open(device);
    for (let page = 0; page < pages; page++) work.page(region);
    const now = await counters.settled();
    rows.push({ what: work.what, engine: perPage(region.stats()), kernel: perPage(now, before) });
    before = now;
  }
  return rows;
}

function perPage(counts: Counts, before = nothing): Counts {
  return {
    loads: (counts.loads - before.loads) / pages,
    stores: (counts.stores - before.stores) / pages,
    storeBlocks: (counts.storeBlocks - before.storeBlocks) / pages,
  };
}

/** In Markdown. */
function table(rows: readonly Row[]): string[] {
  const cells = ({ loads, stores, storeBlocks }: Counts) => `${loads} | ${stores} | ${storeBlocks}`;
  return [
    '| 4 KiB | engine: loads | stores | store blocks | kernel: Load | Store | Store block |',
    '|---|---|---|---|---|---|---|',
    ...rows.map(({ what, engine, kernel }) => `| ${what} | ${cells(engine)} | ${cells(kernel)} |`),
  ];
}
