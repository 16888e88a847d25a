// SMC-D by Linux's own ism and smc drivers, between two s390x guests on one fabric of this package: the host serves the fabric,
// runs both, and looks at what they said and at what passed through the fabric.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serve, type VfioUserServer } from 'ismio/device';
import { createFabric, type IsmFunction } from 'ismio/ism';
import { packageRoot } from '../../support/child.js';
import { refusalsOf } from '../../support/ism.js';
import { buildInitramfs } from '../support/initramfs.js';
import { newestQemu, type Qemu } from '../support/newest-qemu.js';
import { Unavailable } from '../support/packages.js';
import { type GuestOptions, type GuestRun, runGuest } from '../support/qemu.js';
import { type Kernel, kernel } from './kernel.js';
import { machines, machineWords, type Role, socketOf } from './machine.js';

const init = join(packageRoot, 'test', 'guest', 'smc-d', 'init.sh');
/** As in talk/connector.c: how many lengths are echoed, and all their bytes. */
const echoes = { count: 21, bytes: 1_357_913 };
/** How long the survivor may go on without being told, in ms. Seen: below 1 s. */
const mourning = 10_000;

interface Parts {
  readonly qemu: Qemu;
  readonly debian: Kernel;
}

describe('SMC-D between two guests', () => {
  const work = mkdtempSync(join(tmpdir(), 'ismio-guest-smc-d-'));
  const fabric = createFabric();
  const functions = {} as Record<Role, IsmFunction>;
  const servers: VfioUserServer[] = [];
  const errors: Error[] = [];
  let ran: Ran;
  /** What Debian's archive did not give: a reason to skip, where anything else is one to fail. */
  let missing: string | undefined;

  before(async () => {
    const parts = await allParts().catch((error: unknown) => {
      if (!(error instanceof Unavailable)) throw error;
      missing = error.message;
    });
    if (parts === undefined) return;
    for (const role of Object.keys(machines) as Role[]) {
      functions[role] = fabric.function({ gid: machines[role].gid, name: role });
      functions[role].on('error', (error: Error) => errors.push(error));
      servers.push(await serve(functions[role], { path: socketOf(work, role) }));
    }
    const { qemu, debian } = parts;
    console.log(`smc-d: Linux ${debian.release}, QEMU ${qemu.version}`);
    ran = await bothRun(parts, work);
    console.log(`smc-d: ${ran.connector.seconds.toFixed(1)} s, with these modules:`);
    for (const change of debian.changes) console.log(`smc-d: ${change}`);
    for (const role of Object.keys(functions) as Role[]) {
      console.log(`smc-d: ${role} ${JSON.stringify(functions[role].stats())}`);
    }
  });

  after(() => {
    for (const server of servers) server.close();
    fabric.close();
    rmSync(work, { recursive: true, force: true });
  });

  check('everything that the connecting guest looked at was as it should be', () => {
    assert.equal(ran.connector.closing[1], '0');
    assert.deepEqual(errors, []);
  });

  check('21 lengths from 1 byte to 1,000,000 came back as they were sent', () => {
    const lengths = said(/^connector: echo of (\d+) bytes: good$/).map(([, length]) => Number(length));
    assert.deepEqual([lengths.length, lengths.at(0), lengths.at(-1)], [echoes.count, 1, 1_000_000]);
    assert.equal(
      lengths.reduce((sum, length) => sum + length, 0),
      echoes.bytes,
    );
  });

  check('the kernel says that SMC-D carried them, between the functions of this fabric', () => {
    const [, mode, ...ids] =
      said(/carried by (.*), own GID (\S+) and token (\S+), peer's GID (\S+) and token (\S+)$/)[0] ?? [];
    const [own, token, peer, peerToken] = ids.map(BigInt);
    assert.deepEqual([mode, own, peer], ['SMC-D', machines.connector.gid, machines.listener.gid]);
    assert.ok(token && peerToken && token !== peerToken, `tokens ${ids}`);
  });

  check('200 connections were opened and closed, each over SMC-D', () => {
    assert.deepEqual(
      said(/^connector: (\d+) of 200 connections echoed, (\d+) by SMC-D$/).map(([, good, direct]) => [good, direct]),
      [['200', '200']],
    );
  });

  check('without its driver a socket is carried by TCP, and by SMC-D again when the driver is back', () => {
    assert.equal(said(/^connector: without its driver carried by TCP, with it again by SMC-D$/).length, 1);
  });

  check('what one moved, the other received, and more than was echoed', () => {
    const [connector, listener] = [functions.connector.stats(), functions.listener.stats()];
    assert.deepEqual([listener.received, connector.received], [connector.moves, listener.moves]);
    for (const { movedBytes } of [connector, listener]) assert.ok(movedBytes > echoes.bytes, `${movedBytes} bytes`);
  });

  check('nothing was refused, but for what was moved into a DMB whose owner had just been killed', () => {
    assert.deepEqual(refusalsOf(functions.listener), {});
    const { unknown, ...others } = refusalsOf(functions.connector);
    assert.deepEqual(others, {}, `beside ${unknown ?? 0} of a DMB that is not there`);
  });

  check('a guest whose peer is killed in the middle of a transfer is told so in time', () => {
    assert.equal(said(/the flood ended by .*error of the socket: Software caused connection abort/).length, 1);
    assert.ok(ran.toldAfter > 0 && ran.toldAfter < mourning, `${ran.toldAfter} ms`);
    assert.equal(functions.connector.stats().events, 1, 'that the GID has gone');
    console.log(`figure: the survivor knew ${ran.toldAfter.toFixed(0)} ms after the other was killed`);
  });

  function check(name: string, look: () => void): void {
    test(name, (context) => (missing === undefined ? look() : context.skip(missing)));
  }

  /** What matches among the lines of the guest that connects. */
  function said(line: RegExp): RegExpExecArray[] {
    return ran.connector.console.map((one) => line.exec(one)).filter((found) => found !== null);
  }
});

async function allParts(): Promise<Parts> {
  return { qemu: await newestQemu('s390x'), debian: await kernel() };
}

interface Ran extends Readonly<Record<Role, GuestRun>> {
  /** From the kill of one guest to the other's word that it knows, in ms. */
  readonly toldAfter: number;
}

/** Runs both until the one that connects has ended. The other is killed when the flood that it sends has come. */
async function bothRun({ qemu, debian }: Parts, work: string): Promise<Ran> {
  const power = new AbortController();
  let [killed, toldAfter] = [0, 0];
  const initramfs = await archive(debian, work);
  const start = (role: Role, more: Pick<GuestOptions, 'closing' | 'onLine' | 'power'>) =>
    runGuest({
      name: `smc-d, ${role}`,
      program: qemu.program,
      words: machineWords(role, debian, initramfs, work),
      seconds: 240,
      ...more,
    });
  const listens = start('listener', { closing: /^listener: sends until it is killed$/, power: power.signal });
  const connects = start('connector', {
    closing: /^connector: ended with status (\d+)$/,
    onLine(line) {
      if (/ of the flood came$/.test(line)) {
        killed = performance.now();
        power.abort();
      }
      if (/^connector: the flood ended /.test(line)) toldAfter = performance.now() - killed;
    },
  }).finally(() => power.abort());
  const [listener, connector] = await Promise.all([listens, connects]);
  return { listener, connector, toldAfter };
}

async function archive(debian: Kernel, work: string): Promise<string> {
  const order = join(work, 'order');
  writeFileSync(order, debian.modules.map((path) => `${basename(path)}\n`).join(''));
  const modules = Object.fromEntries(debian.modules.map((path) => [`/modules/${basename(path)}`, path]));
  const initramfs = join(work, 'initramfs.cpio');
  await buildInitramfs({
    root: mkdtempSync(join(work, 'root-')),
    init: readFileSync(init, 'utf8'),
    files: { '/bin/busybox': debian.busybox, '/bin/talk': debian.talk, '/modules/order': order, ...modules },
    output: initramfs,
  });
  return initramfs;
}
