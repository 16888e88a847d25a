// The s390x guest as the host sees it: serves its functions, runs it, and looks at what reached them.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pattern } from '../../support/bytes.js';
import { packageRoot } from '../../support/child.js';
import { refusalsOf } from '../../support/ism.js';
import { buildInitramfs } from '../support/initramfs.js';
import { newestQemu } from '../support/newest-qemu.js';
import { type GuestRun, runGuest } from '../support/qemu.js';
import { type Access, PciFunction } from './double/device.js';
import { serve } from './double/server.js';
import { cases } from './inside/refusals.js';
import { kernel } from './kernel.js';
import { functions, machineWords, socketOf, strayRegister } from './machine.js';
import { nodeFiles, packageFiles } from './node.js';
import { type Peers, servePeers } from './peers.js';
import { blocks, fills, gids, longMove } from './speech.js';
import { asBlocksArrive, ismTransfers, plainTransfers, resetBatch, type Transfer } from './transfers.js';

const init = join(packageRoot, 'test', 'guest', 's390x', 'init.sh');
const mortalProgram = join(packageRoot, 'dist', 'test', 'guest', 's390x', 'double', 'mortal.js');

describe('the s390x guest', () => {
  const doubles = {
    ism: new PciFunction(functions.ism),
    plain: new PciFunction(functions.plain),
    other: new PciFunction(functions.other),
    leaving: new PciFunction(functions.leaving),
    stray: new PciFunction(functions.stray, { readsMemoryAt: strayRegister }),
  } as const;
  const servers: Server[] = [];
  let work: string;
  let guest: GuestRun;
  let mortal: ChildProcess | undefined;
  let peers: Peers | undefined;

  before(async () => {
    work = mkdtempSync(join(tmpdir(), 'ismio-guest-s390x-'));
    for (const name of Object.keys(doubles) as (keyof typeof doubles)[]) {
      servers.push(await serve(doubles[name], socketOf(work, name)));
    }
    peers = await servePeers(socketOf(work, 'fabric'));
    mortal = await serveMortal(socketOf(work, 'orphan'));
    guest = await boot(work);
  });

  after(() => {
    for (const server of servers) server.close();
    peers?.close();
    mortal?.kill('SIGKILL'); // when the guest did not get as far
    rmSync(work, { recursive: true, force: true });
  });

  test('every test in it passes', () => {
    assert.equal(guest.closing[1], '0');
  });

  test('the server that was to die was killed', () => {
    assert.equal(mortal?.signalCode, 'SIGKILL');
  });

  for (const [name, transfer] of Object.entries(ismTransfers)) {
    test(`ISM, ${name}: its bytes arrived, in order and each once, in the words that QEMU makes of a block`, () => {
      const bytes = asBlocksArrive(pattern(transfer.length, transfer.seed));
      assert.deepEqual(stored(doubles.ism, transfer), bytes);
      const words = writesTo(doubles.ism, transfer).map(({ offset, bytes }) => [offset, bytes.length]);
      assert.deepEqual(
        words,
        words.map((_, word) => [BigInt(transfer.offset + word * 8), 8]),
      );
      assert.equal(words.length, transfer.length / 8);
    });
  }

  test('ISM: every load was of 1, 2, 4 or 8 bytes at a multiple of them', () => {
    const loads = doubles.ism.accesses.filter(({ kind, region }) => kind === 'read' && region === 0);
    assert.deepEqual(new Set(loads.map(({ bytes }) => bytes.length)), new Set([8, 1, 2, 4]));
    assert.ok(loads.every(({ offset, bytes }) => offset % BigInt(bytes.length) === 0n));
  });

  test('ISM: of what was refused, nothing reached the function', () => {
    const done = cases.filter(({ answer }) => typeof answer === 'number' && answer > 0);
    const refused = cases.filter(({ answer }) => typeof answer === 'string');
    for (const { what, offset, length } of refused) {
      const hit = done.some((other) => offset < other.offset + other.length && other.offset < offset + length);
      if (hit) continue; // a block that was done lies in the same bytes
      assert.deepEqual(writesTo(doubles.ism, { offset, length }), [], what);
    }
  });

  test('ISM, reset in mid-batch: as much arrived as was told', () => {
    const told = guest.console.map((line) => /^reset: (\d+) store blocks went out$/.exec(line)?.[1]).find(Boolean);
    // The same bytes are stored once more, as a whole, by the batch during which the function is switched off.
    const words = writesTo(doubles.leaving, resetBatch).length - resetBatch.length / 8;
    assert.equal(words, Number(told) * 16);
  });

  test('fabric: nothing failed on the host, and its driver heard the others go', () => {
    assert.deepEqual(peers?.errors, []);
    assert.deepEqual(peers?.gone, [gids.leaver, gids.guest, gids.guest]);
  });

  test('fabric: every word of a block came as a move, each of the last block with its signal', () => {
    const { guest, peer } = peers as Peers;
    const moved = [...blocks, longMove].reduce((sum, { length }) => sum + length, 0);
    const { moves, movedBytes, interrupts, signals, events } = guest.stats();
    assert.deepEqual([movedBytes, moves], [moved, moved / 8]);
    assert.deepEqual(refusalsOf(guest), { unknown: 2 });
    const alone = blocks.reduce((sum, { length }) => sum + length / 8, 0);
    const last = peer.stats().signals - alone;
    assert.ok(last >= 2 && last <= 16, `${last} words of the long move's last block`);
    assert.equal(signals, fills.length);
    console.log(`fabric: ${interrupts} interrupts for ${signals} signals and ${events} events`);
  });

  for (const [name, transfer] of Object.entries(plainTransfers)) {
    test(`plain function, ${name}: its bytes arrived`, () => {
      const bytes = pattern(transfer.length, transfer.seed);
      assert.deepEqual(stored(doubles.plain, transfer), transfer.blocks ? asBlocksArrive(bytes) : bytes);
    });
  }
});

/** Serves a function from a process of its own, which ends by force in the middle of a batch. */
async function serveMortal(path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [mortalProgram, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function boot(work: string): Promise<GuestRun> {
  const { version, program, folder } = await newestQemu('s390x');
  const [debian, node, own] = await Promise.all([kernel(folder), nodeFiles(), packageFiles()]);
  const order = join(work, 'order');
  writeFileSync(order, debian.modules.map((path) => `${basename(path)}\n`).join(''));
  const modules = Object.fromEntries(debian.modules.map((path) => [`/modules/${basename(path)}`, path]));
  const system = { '/bin/busybox': debian.busybox, '/modules/order': order, ...modules };
  const initramfs = join(work, 'initramfs.cpio');
  await buildInitramfs({
    root: mkdtempSync(join(work, 'root-')),
    init: readFileSync(init, 'utf8'),
    files: { ...system, ...node, ...own },
    output: initramfs,
  });
  console.log(`s390x: Linux ${debian.release}, QEMU ${version}`);
  const run = await runGuest({
    name: 's390x',
    program,
    words: machineWords({ kernel: debian, initramfs, work }),
    closing: /^guest: ended with status (\d+)$/,
    seconds: 600,
  });
  console.log(`s390x: ${run.seconds.toFixed(1)} s`);
  return run;
}

function stored(double: PciFunction, { offset, length }: Transfer): Uint8Array {
  return Uint8Array.from(double.peek(0, BigInt(offset), length));
}

/** What was written to BAR 0 between these offsets. */
function writesTo(double: PciFunction, { offset, length }: { offset: number; length: number }): Access[] {
  const from = BigInt(offset);
  const to = BigInt(offset + length);
  return double.accesses.filter(
    ({ kind, region, offset: at }) => kind === 'write' && region === 0 && at >= from && at < to,
  );
}
