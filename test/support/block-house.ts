// A fabric, a target and an initiator as processes of the command line, which are killed, and started again; and clients of the
// initiator's export in this process.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Asking } from './block-writers.js';
import { startIsmio } from './command.js';
import { NbdClient } from './nbd.js';
import { nbdAsking } from './nbd-asking.js';
import { patience } from './scale.js';

export const parts = ['fabric', 'target', 'initiator'] as const;
export type Part = (typeof parts)[number];

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  /** What it said last. */
  said: string;
}

export interface HouseOptions {
  readonly folder: string;
  /** Bytes of the disk. */
  readonly size: number;
  /** Whether both ends store past the fabric. */
  readonly direct: boolean;
}

export class ProcessHouse {
  readonly #options: HouseOptions;
  readonly #running = new Map<Part, Running>();
  #clients: NbdClient[] = [];
  #asking: Promise<readonly Asking[]>;
  #connected: (asking: readonly Asking[]) => void = () => undefined;
  #next = 0;

  private constructor(options: HouseOptions) {
    this.#options = options;
    this.#asking = this.#whenConnected();
  }

  static async open(options: HouseOptions): Promise<ProcessHouse> {
    const house = new ProcessHouse(options);
    const disk = join(options.folder, 'disk');
    writeFileSync(disk, '');
    truncateSync(disk, options.size);
    for (const part of parts) await house.start(part);
    return house;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await Promise.all(parts.map((part) => this.kill(part)));
  }

  /** Done when it is there for others. An initiator ends where it finds no target, which may have to find the fabric before. */
  async start(part: Part): Promise<void> {
    const end = performance.now() + patience(20_000);
    while (!(await this.#begin(part))) {
      const { said = '' } = this.#running.get(part) ?? {};
      assert.ok(part === 'initiator' && performance.now() < end, `the ${part} has ended: ${said}`);
      this.#running.delete(part);
    }
    if (part === 'initiator') await this.#connect();
  }

  async #begin(part: Part): Promise<boolean> {
    assert.ok(!this.#running.has(part), `the ${part} runs`);
    const child = startIsmio([...this.#wordsOf(part), '--json']);
    const running: Running = { child, ended: once(child, 'close'), said: '' };
    this.#running.set(part, running);
    const isReady = new Promise<void>((ready) => {
      const hears = (text: string): void => {
        running.said = (running.said + text).slice(-2000);
        if (/"event":"(ready|serving)"/.test(running.said)) ready();
      };
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hears);
    });
    await Promise.race([isReady, running.ended]);
    return child.exitCode === null;
  }

  /** Where it does not run, does nothing. */
  async kill(part: Part): Promise<void> {
    const running = this.#running.get(part);
    if (running === undefined) return;
    this.#running.delete(part);
    if (part === 'initiator') this.#asking = this.#whenConnected();
    running.child.kill('SIGKILL');
    await running.ended;
  }

  /** Has the target end as it should. */
  async stopTarget(): Promise<void> {
    const running = this.#running.get('target') as Running;
    running.child.kill('SIGTERM');
    assert.deepEqual(await running.ended, [0, null], running.said);
    this.#running.delete('target');
  }

  /** What each says of how it is. */
  get said(): string {
    return parts.map((part) => `${part}: ${this.#running.get(part)?.said ?? 'does not run'}`).join('\n');
  }

  /** The export, by any of the connections to it. While there is none, requests wait. */
  readonly disk: Asking = {
    write: async (offset, bytes, fua) => (await this.#any()).write(offset, bytes, fua),
    zero: async (offset, length, fua) => (await this.#any()).zero(offset, length, fua),
    read: async (offset, target) => (await this.#any()).read(offset, target),
    flush: async () => (await this.#any()).flush(),
  };

  async #any(): Promise<Asking> {
    const asking = await this.#asking;
    return asking[this.#next++ % asking.length] as Asking;
  }

  async #connect(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    this.#clients = await Promise.all([0, 1].map(() => NbdClient.open(this.#socket)));
    this.#connected(this.#clients.map(nbdAsking));
  }

  #whenConnected(): Promise<readonly Asking[]> {
    return new Promise((connected) => {
      this.#connected = connected;
    });
  }

  get #socket(): string {
    return join(this.#options.folder, 'nbd.sock');
  }

  #wordsOf(part: Part): string[] {
    const { folder, direct } = this.#options;
    const fabric = join(folder, 'fabric');
    const lanes = direct ? ['--direct'] : [];
    const on = (index: number) => ['--device', `vfio-user:${join(fabric, `${index}.sock`)}`, ...lanes];
    if (part === 'fabric') return ['ism', 'serve', '--dir', fabric, '--gid', '0x11', '0x22', ...lanes];
    if (part === 'target') return ['block', 'serve', join(folder, 'disk'), ...on(0)];
    return ['block', 'attach', ...on(1), '--peer', '0x11', '--socket', this.#socket];
  }
}
