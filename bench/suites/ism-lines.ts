// Lines to processes at the other end, for the suite of ISM: streams through a fabric or past it, sockets of node:net, and the
// keys of a console.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type * as consoles from 'ismio/console';
import type * as ism from 'ismio/ism';
import type { Engine, Running, Window } from '../workload.js';

const program = fileURLToPath(new URL('../servers/ism.js', import.meta.url));
/** Bytes of what is echoed. */
export const small = 64;
/** Writes of a batch, and the bytes of each. */
export const chunks = 16;
export const chunk = 65_536;

export async function moduleOf({ entries }: Engine): Promise<typeof ism> {
  return (await import(entries?.['./ism'] as string)) as typeof ism;
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Processes at the other end, in a folder that goes with them. */
class Company {
  readonly folder: string;
  readonly #children: Child[] = [];

  constructor(window: Window) {
    this.folder = mkdtempSync(join(dirname(window.path), 'ism-'));
  }

  async start({ entries }: Engine, duty: string, place: string, every: number): Promise<void> {
    const urls = ['.', './device', './ism', './console'].map((name) => entries?.[name] ?? '');
    const child = spawn(process.execPath, [program, duty, place, String(every), ...urls], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  }

  /** Those that came last end first. */
  async end(): Promise<void> {
    for (const child of this.#children.reverse()) {
      const ended = once(child, 'close');
      child.stdin.end();
      await ended;
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** A stream to a process, and how it ends. */
interface Line {
  readonly stream: Duplex;
  close(): Promise<void>;
}

export async function throughFabric(engine: Engine, window: Window, duty: string, every: number): Promise<Line> {
  const company = new Company(window);
  const { openIsm } = await moduleOf(engine);
  await company.start(engine, 'fabric', company.folder, every);
  await company.start(engine, duty, company.folder, every);
  const direct = duty.startsWith('direct');
  const driver = await openIsm(engine.openVfioUser(join(company.folder, '0.sock')), { direct });
  const stream = await driver.connect(2n, 1, { ring: 524_288 });
  return {
    stream,
    async close() {
      stream.destroy();
      driver.close();
      await company.end();
    },
  };
}

export async function throughSocket(engine: Engine, window: Window, duty: string, every: number): Promise<Line> {
  const company = new Company(window);
  const path = join(company.folder, 'net.sock');
  await company.start(engine, `net-${duty}`, path, every);
  const stream = connect({ path });
  await once(stream, 'connect');
  return {
    stream,
    async close() {
      stream.destroy();
      await company.end();
    },
  };
}

/** The same with a sink that reads into one memory. */
export async function intoSocket(engine: Engine, window: Window): Promise<Line> {
  const company = new Company(window);
  const path = join(company.folder, 'net.sock');
  const server = createServer({ noDelay: true }).listen({ path });
  const accepted = once(server, 'connection');
  await company.start(engine, 'net-into-sink', path, chunks * chunk);
  const [stream] = (await accepted) as [Socket];
  return {
    stream,
    async close() {
      stream.destroy();
      server.close();
      await company.end();
    },
  };
}

/** So many bytes, and the sink's word that they have come. */
export function sending({ stream, close }: Line): Running {
  const bytes = new Uint8Array(chunk).fill(0x5a);
  return {
    async batch() {
      const come = once(stream, 'data');
      for (let i = 0; i < chunks; i++) if (!stream.write(bytes)) await once(stream, 'drain');
      await come;
    },
    close,
  };
}

export function echoing({ stream, close }: Line, length = small): Running {
  const bytes = new Uint8Array(length).fill(0x5a);
  return {
    async batch() {
      let left = length;
      const come = new Promise<void>((resolve) => {
        const take = (part: Buffer): void => {
          left -= part.length;
          if (left > 0) return;
          stream.off('data', take);
          resolve();
        };
        stream.on('data', take);
      });
      stream.write(bytes);
      await come;
    },
    close,
  };
}

/** A console at the other end of a fabric, whose line says what is typed. */
export async function typing(engine: Engine, window: Window, duty: string): Promise<Running> {
  const company = new Company(window);
  const { openIsm } = await moduleOf(engine);
  const { attachConsole } = (await import(engine.entries?.['./console'] as string)) as typeof consoles;
  await company.start(engine, 'fabric', company.folder, 1);
  await company.start(engine, duty, company.folder, 1);
  const direct = duty.startsWith('direct');
  const driver = await openIsm(engine.openVfioUser(join(company.folder, '0.sock')), { direct });
  const client = await attachConsole(driver, 2n, { replay: 'none' });
  const key = Uint8Array.of(0x78);
  return {
    async batch() {
      await new Promise<void>((resolve) => {
        client.once('data', () => resolve());
        client.write(key);
      });
    },
    async close() {
      client.close();
      driver.close();
      await company.end();
    },
  };
}
