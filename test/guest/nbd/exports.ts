// What the host serves to the guest: a file by `ismio block nbd`, and another over ISM: a fabric, `block serve` and `block attach`.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { commandOf } from '../../support/command.js';
import { asked, type Name, sizes } from './machine.js';

interface Said {
  readonly event: string;
  readonly [value: string]: unknown;
}

/** The command as a process, once it has said that it serves. */
class Lasting {
  readonly child: ChildProcess;
  readonly heard: Said[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(ready: string, ...words: string[]): Promise<Lasting> {
    const [program = '', ...more] = commandOf([...words, '--json']);
    const child = spawn(program, more, {
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lasting = new Lasting(child);
    const lines = createInterface(child.stdout);
    const isReady = new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        const said = JSON.parse(line) as Said;
        lasting.heard.push(said);
        if (said.event === ready) resolve();
      });
      child.on('exit', (code) => reject(new Error(`${words.join(' ')} ended with ${code}`)));
    });
    await isReady;
    return lasting;
  }

  get port(): number {
    return Number(this.heard.find(({ event }) => event === 'serving')?.['port']);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const over = once(this.child, 'exit');
    this.child.kill(signal);
    await over;
  }
}

/** A file of zeros for each disk. */
export const fileOf = (work: string, name: Name) => join(work, `${name}.img`);

export class Exports {
  readonly #work: string;
  readonly #fabric: Lasting;
  readonly #attached: Lasting;
  #target: Lasting;
  #server: Lasting;
  /** One thing at a time, in the order in which they were asked for. */
  #done: Promise<void> = Promise.resolve();

  private constructor(work: string, fabric: Lasting, target: Lasting, attached: Lasting, server: Lasting) {
    this.#work = work;
    this.#fabric = fabric;
    this.#target = target;
    this.#attached = attached;
    this.#server = server;
  }

  static async serve(work: string): Promise<Exports> {
    for (const name of ['file', 'ism'] as const) {
      writeFileSync(fileOf(work, name), '');
      truncateSync(fileOf(work, name), sizes[name]);
    }
    const fabric = await Lasting.start('ready', 'ism', 'serve', '--dir', join(work, 'fabric'), '--gid', '0x11', '0x22');
    const target = await serveTarget(work);
    const attach = ['block', 'attach', ...on(work, 1), '--peer', '0x11', '--tcp', '0', '--name', 'ism'];
    return new Exports(work, fabric, target, await Lasting.start('serving', ...attach), await serveFile(work, 0));
  }

  /** Ports of TCP, on the host's loopback. */
  get ports(): Readonly<Record<Name, number>> {
    return { file: this.#server.port, ism: this.#attached.port };
  }

  /** What the server of the disk over ISM has said. */
  get overIsm(): readonly Said[] {
    return this.#attached.heard;
  }

  /** Takes a line of the guest's. */
  heard(line: string): void {
    const act = this.#acts[line];
    if (act !== undefined) this.#done = this.#done.then(act);
  }

  readonly #acts: Readonly<Record<string, () => Promise<void>>> = {
    [asked.end]: () => this.#server.end('SIGTERM'),
    [asked.kill]: () => this.#server.end('SIGKILL'),
    [asked.again]: () => this.#again(),
    [asked.grow]: async () => {
      await this.#server.end('SIGTERM');
      truncateSync(fileOf(this.#work, 'file'), sizes.grown);
      await this.#again();
    },
    [asked.killTarget]: async () => {
      await this.#target.end('SIGKILL');
      this.#target = await serveTarget(this.#work);
    },
  };

  async #again(): Promise<void> {
    this.#server = await serveFile(this.#work, this.#server.port);
  }

  /** Ends all, and rejects with what could not be done of what was asked for. */
  async close(): Promise<void> {
    try {
      await this.#done;
    } finally {
      for (const one of [this.#server, this.#attached, this.#target, this.#fabric]) await one.end('SIGTERM');
    }
  }
}

function serveFile(work: string, port: number): Promise<Lasting> {
  const words = ['block', 'nbd', fileOf(work, 'file'), '--port', String(port), '--name', 'file'];
  return Lasting.start('serving', ...words);
}

function serveTarget(work: string): Promise<Lasting> {
  return Lasting.start('serving', 'block', 'serve', fileOf(work, 'ism'), ...on(work, 0));
}

/** The words that name a function of the fabric. */
function on(work: string, index: number): string[] {
  return ['--device', `vfio-user:${join(work, 'fabric', `${index}.sock`)}`];
}
