// The kernel's nbd as an administrator has it: a disk is attached and detached, and files are kept on it.
import assert from 'node:assert/strict';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pattern } from '../../../support/bytes.js';
import { run } from '../../support/run.js';
import type { Client } from '../client.js';
import { host, type Name, seedOf } from '../machine.js';

export interface Setting {
  readonly ports: Readonly<Record<Name, number>>;
  readonly client: Client;
  readonly busybox: string;
}

/** The folder that host and guest both write. */
export const work = process.argv[2] as string;
export const setting = JSON.parse(readFileSync(join(work, 'setting.json'), 'utf8')) as Setting;

export const node = '/dev/nbd0';
export const mounted = '/run/disk';
mkdirSync(mounted, { recursive: true });

const fileBytes = 96 << 10;

/** Bytes of the disk, or of one of its partitions ('p1'); 0 where there is none. */
export function sizeOf(part = ''): number {
  try {
    return 512 * Number(readFileSync(`/sys/class/block/nbd0${part}/size`, 'utf8'));
  } catch {
    return 0;
  }
}

/** Attaches an export, as soon as there is a server, and gives its size. */
export async function attach(name: Name, ...more: string[]): Promise<number> {
  const words = [host, String(setting.ports[name]), node, '-N', name, ...more];
  const env = { LD_LIBRARY_PATH: setting.client.libraries };
  for (let tries = 1; ; tries++) {
    try {
      await run(setting.client.program, words, { env, seconds: 30 });
      break;
    } catch (error) {
      if (tries === 40) throw error;
      await setTimeout(250);
    }
  }
  await until(() => sizeOf() > 0, 'the disk has a size');
  // Linux looks for partitions when somebody opens it.
  closeSync(openSync(node, 'r'));
  return sizeOf();
}

export async function detach(): Promise<void> {
  await run(setting.client.program, ['-d', node], { env: { LD_LIBRARY_PATH: setting.client.libraries }, seconds: 30 });
  await until(() => sizeOf() === 0, 'the disk has gone');
}

export async function mount(device: string): Promise<void> {
  await run('mount', ['-t', 'ext4', device, mounted], { seconds: 60 });
}

export async function unmount(): Promise<void> {
  await run('umount', [mounted], { seconds: 60 });
}

/** Writes a file, and has it on the medium: what fails throws. */
export function writeDurably(name: Name, index: number): void {
  const file = openSync(join(mounted, `${index}`), 'w');
  try {
    const bytes = pattern(fileBytes, seedOf(name, index));
    assert.equal(writeSync(file, bytes), bytes.length);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** That files of these numbers have their bytes. */
export function checkFiles(name: Name, indices: Iterable<number>): void {
  for (const index of indices) {
    const bytes = readFileSync(join(mounted, `${index}`));
    assert.equal(Buffer.compare(bytes, pattern(fileBytes, seedOf(name, index))), 0, `file ${index}`);
  }
}

/** An ext4 that is whole, as it lies there. */
export async function check(device: string): Promise<void> {
  await run('e2fsck', ['-f', '-n', device]);
}

export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !holds(); waited += 50) {
    assert.ok(waited < 30_000, `${what} after 30 s`);
    await setTimeout(50);
  }
}
