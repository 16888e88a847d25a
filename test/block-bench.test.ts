// ismio block bench: what it measures is what it says, nothing is overwritten that may not be, and failures are told.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BlockDevice, memoryDisk } from 'ismio/block';
import { Latencies } from '../bench/disks/latencies.js';
import { workloads } from '../bench/disks/load.js';
import { type DiskOptions, measureDisk } from '../bench/disks/measure.js';
import { diskTable } from '../bench/disks/table.js';
import { quiet, SlowDisk, served } from './support/block.js';
import { ismio } from './support/command.js';
import { temporaryFolder } from './support/files.js';
import { sequence } from './support/random.js';

const size = 2 ** 20;

const options = (own: Partial<DiskOptions> = {}): DiskOptions => ({
  ...{ workloads, random: 4096, sequential: 65_536, depth: 8, rounds: 2, milliseconds: 15, fill: false, moves: null },
  signal: new AbortController().signal,
  ...own,
});

test('a share of latencies is that of the sorted ones, within two hundredths', () => {
  const below = sequence(3);
  const latencies = new Latencies();
  assert.equal(latencies.at(0.5), 0);
  const all = Array.from({ length: 5000 }, () => 1 + below(2 ** below(30)));
  for (const one of all) latencies.add(one);
  all.sort((a, b) => a - b);
  for (const share of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = all[Math.ceil(share * all.length) - 1] as number;
    const told = latencies.at(share);
    assert.ok(Math.abs(told - exact) <= 0.02 * exact, `${share}: ${told}, and not ${exact}`);
  }
});

test('moves of one request over ISM are exact: one for a read of 4 KiB and two for a write, of this end', async () => {
  await using house = await served({ stream: quiet, disk: memoryDisk({ size }) });
  const disk = await house.open({ stream: quiet });
  const moves = () => disk.stats().moves;
  const only = ['random-read', 'random-write'] as const;
  const { results } = await measureDisk(disk, options({ moves, random: 2048, workloads: ['random-read'] }));
  assert.deepEqual([results[0]?.moves, results[0]?.bytes], [1, 2048]);
  const report = await measureDisk(disk, options({ moves, workloads: only }));
  const [read, write] = report.results;
  assert.equal(read?.moves, 1);
  // The flush that ends a round has one as well.
  for (const { moves: each, requests } of write?.rounds ?? [])
    assert.equal(Math.round((each ?? 0) * requests), 2 * requests + 1);
  assert.match(diskTable(report), /random-read +│ 4,096 .*│ 1 +│/);
});

test('as many requests as were asked for are in flight, and each figure fits the others', async () => {
  let [inFlight, most, flushes] = [0, 0, 0];
  const inner = memoryDisk({ size });
  const wait = async () => {
    most = Math.max(most, ++inFlight);
    await sleep(2);
    inFlight--;
  };
  const own: Partial<BlockDevice> = { read: wait, write: wait, flush: () => void flushes++ };
  const disk = Object.assign(Object.create(inner), own, {
    name: 'own',
    size,
    blockSize: inner.blockSize,
    features: { extents: false },
  });
  const { results } = await measureDisk(disk as BlockDevice, options({ depth: 5, random: 512 }));
  assert.deepEqual([most, inFlight, flushes], [5, 0, 6]);
  for (const { iops, megabytes, latency, bytes, rounds } of results) {
    assert.equal(rounds.length, 2);
    assert.ok(Math.abs(megabytes - (iops * bytes) / 1e6) < 1e-6);
    assert.ok(
      latency.p50 >= 1.9e6 && latency.p50 <= latency.p99 && latency.p99 <= latency.p999,
      JSON.stringify(latency),
    );
    // By Little's law, with room for timers that are late.
    for (const { requests, seconds } of rounds) assert.ok(requests / seconds <= (5 / 0.0019) * 1.01);
  }
});

test('a disk that fails ends the measurement with its error, when nothing is in flight any more', async () => {
  const disk = new SlowDisk(size);
  disk.failures.push('EIO');
  await assert.rejects(measureDisk(disk, options({ workloads: ['random-read'] })), { errno: 'EIO' });
  const ending = new AbortController();
  const turn = options({ signal: ending.signal, milliseconds: 60_000 });
  const measured = measureDisk(memoryDisk({ size }), turn);
  setImmediate(() => ending.abort(new Error('enough')));
  await assert.rejects(measured, { code: 'ERR_ISMIO_ABORTED' });
});

const quick = ['--seconds', '0.01', '--rounds', '1', '--json'];

test('a file is read alone unless it is said that it may be overwritten', async (t) => {
  const path = join(temporaryFolder(t), 'disk');
  const bytes = Buffer.alloc(size, 7);
  writeFileSync(path, bytes);
  const { code, stdout, stderr } = await ismio(['block', 'bench', path, ...quick]);
  assert.equal(code, 0, stderr);
  const names = (text: string) => JSON.parse(text).results.map(({ workload }: { workload: string }) => workload);
  assert.deepEqual(names(stdout), ['random-read', 'sequential-read']);
  const refused = await ismio(['block', 'bench', path, ...quick, '--only', 'random-write']);
  assert.deepEqual([refused.code, refused.stdout], [2, '']);
  assert.match(refused.stderr, /^ismio: ERR_ISMIO_USAGE: random-write overwrites .*--write/);
  assert.ok(readFileSync(path).equals(bytes));
  const written = await ismio(['block', 'bench', path, ...quick, '--write', '--only', 'sequential-write']);
  assert.deepEqual(names(written.stdout), ['sequential-write']);
  const after = readFileSync(path);
  assert.deepEqual([after.length, after.equals(bytes)], [size, false]);
});

test('a disk in memory is written as well, and the table says what its figures are', async () => {
  const words = ['block', 'bench', 'memory:2M', '--seconds', '0.01', '--rounds', '1', '--depth', '3'];
  const { code, stdout, stderr } = await ismio(words);
  assert.equal(code, 0, stderr);
  for (const workload of workloads) assert.ok(stdout.includes(workload), stdout);
  assert.match(stdout, /Medians of 1 round of 0\.01 s .*\n.*3 requests in flight/);
  assert.doesNotMatch(stdout, /holes|left out/);
});

test('words that name no disk or two, and sizes that it does not have', async (t) => {
  const path = join(temporaryFolder(t), 'disk');
  writeFileSync(path, Buffer.alloc(8192));
  const device = ['--device', `vfio-user:${path}`];
  for (const [words, reason] of [
    [[], /DISK/],
    [[path, ...device], /DISK/],
    [device, /--peer/],
    [[path, '--block-size', '16K', '--only', 'random-read'], /has 8192 bytes/],
    [[path, '--depth', '0'], /--depth is from 1 to 4096/],
    [['memory:1T'], /is filled/],
  ] as const) {
    const { code, stderr } = await ismio(['block', 'bench', ...words]);
    assert.deepEqual([code, reason.test(stderr)], [2, true], stderr);
  }
});

test('a standard output that is full is told, as a table and as JSON', async () => {
  const words = ['block', 'bench', 'memory:1M', '--seconds', '0.01', '--rounds', '1'];
  for (const own of [[], ['--json']]) {
    const { code, stderr } = await ismio([...words, ...own], { stdoutTo: '/dev/full' });
    assert.match(stderr, /^ismio: ERR_ISMIO_WRITE_FILE: cannot write to the standard output: ENOSPC\n$/);
    assert.equal(code, 1);
  }
});
