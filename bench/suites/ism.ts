// ISM: moves within a process, streams between processes through a fabric, and the keys of a console, against what one would
// take without.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type * as consoles from 'ismio/console';
import type * as ism from 'ismio/ism';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';

const program = fileURLToPath(new URL('../servers/ism.js', import.meta.url));
const moves = 64;
const block = 4096;
const small = 64;
const chunk = 65_536;
const chunks = 16;

/** Builds from before there was one are compared with newer ones, too. */
const missing = ({ entries }: Engine): string | null =>
  entries?.['./ism'] === undefined ? 'this build has no ISM' : null;

const common = { windowBytes: 0, missing };

async function moduleOf({ entries }: Engine): Promise<typeof ism> {
  return (await import(entries?.['./ism'] as string)) as typeof ism;
}

interface Pair {
  readonly sender: ism.Ism;
  readonly dmb: ism.Dmb;
  close(): void;
}

/** Two functions of one fabric in this process, one with a DMB for the other. */
async function pair(engine: Engine, length: number): Promise<Pair> {
  const { createFabric, openIsm } = await moduleOf(engine);
  const fabric = createFabric();
  const [sender, receiver] = [await openIsm(fabric.function().open()), await openIsm(fabric.function().open())];
  return {
    sender,
    dmb: receiver.registerDmb({ length, peer: sender.gid }),
    close() {
      sender.close();
      receiver.close();
      fabric.close();
    },
  };
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

async function throughFabric(engine: Engine, window: Window, duty: string, every: number): Promise<Line> {
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

async function throughSocket(engine: Engine, window: Window, duty: string, every: number): Promise<Line> {
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

/** So many bytes, and the sink's word that they have come. */
function sending({ stream, close }: Line): Running {
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

function echoing({ stream, close }: Line, length = small): Running {
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
async function typing(engine: Engine, window: Window, duty: string): Promise<Running> {
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

/** Two sockets of this process. */
async function sockets(window: Window): Promise<{ near: Socket; far: Socket; close(): void }> {
  const folder = mkdtempSync(join(dirname(window.path), 'net-'));
  const server = createServer({ noDelay: true });
  const path = join(folder, 'socket');
  await new Promise<void>((resolve) => server.listen({ path }, resolve));
  const near = connect({ path });
  const [far] = (await once(server, 'connection')) as [Socket];
  return {
    near,
    far,
    close() {
      near.destroy();
      far.destroy();
      server.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const memory: Floor = {
  title: 'TypedArray.set of the same, from as much memory',
  operations: moves,
  open(_window, _floors, { allocBuffer }) {
    const [source, target] = [allocBuffer(moves * block), allocBuffer(moves * block, { shared: true })];
    const parts = partsOf(source, block);
    return {
      batch() {
        for (let i = 0; i < moves; i++) target.set(parts[i] as Uint8Array, i * block);
      },
      close: () => undefined,
    };
  },
};

const writes: Floor = {
  title: 'writes of 64 bytes from one socket of node:net to another of this process',
  operations: moves,
  async open(window) {
    const { near, far, close } = await sockets(window);
    const bytes = new Uint8Array(small);
    let left = 0;
    let come: () => void = () => undefined;
    far.on('data', (part: Buffer) => {
      left -= part.length;
      if (left === 0) come();
    });
    return {
      batch() {
        left = moves * small;
        const all = new Promise<void>((resolve) => (come = resolve));
        for (let i = 0; i < moves; i++) near.write(bytes);
        return all;
      },
      close,
    };
  },
};

const netStream: Floor = {
  title: 'the same over a unix socket of node:net',
  operations: chunks,
  open: async (window, _floors, engine) => sending(await throughSocket(engine, window, 'sink', chunks * chunk)),
};

const ringStream: Floor = {
  title: 'the same between two processes of C, by a ring in shared memory',
  operations: chunks,
  native: true,
  open(_window, { startRing, sendPieces, endRing }) {
    startRing();
    return { batch: () => sendPieces(chunks), close: () => endRing() };
  },
};

const netEcho: Floor = {
  title: 'the same over a unix socket of node:net',
  operations: 1,
  open: async (window, _floors, engine) => echoing(await throughSocket(engine, window, 'echo', small)),
};

const netKey: Floor = {
  title: 'a byte and its echo over a unix socket of node:net',
  operations: 1,
  open: async (window, _floors, engine) => echoing(await throughSocket(engine, window, 'echo', 1), 1),
};

const keys = {
  operations: 1,
  bytes: 2,
  ...common,
  missing: ({ entries }: Engine) => (entries?.['./console'] === undefined ? 'this build has no consoles' : null),
  floor: netKey,
};

function partsOf(bytes: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: bytes.length / length }, (_, i) => bytes.subarray(i * length, (i + 1) * length));
}

export const workloads: Workload[] = [
  {
    name: 'ism/move-4KiB/in-process',
    title: 'ism.move of 4 KiB into a DMB of this process',
    operations: moves,
    bytes: moves * block,
    ...common,
    target: { atLeast: 0.9 },
    floor: memory,
    async open(engine) {
      const { sender, dmb, close } = await pair(engine, moves * block);
      const parts = partsOf(engine.allocBuffer(moves * block), block);
      return {
        batch() {
          for (let i = 0; i < moves; i++) sender.move(dmb.token, i * block, parts[i] as Uint8Array);
        },
        close,
      };
    },
  },
  {
    name: 'ism/signals-64B/in-process',
    title: 'moves of 64 bytes by a queue, each with a signal, and the one event that they come to',
    operations: moves,
    bytes: moves * small,
    ...common,
    target: { atLeast: 20 },
    floor: writes,
    async open(engine) {
      const { sender, dmb, close } = await pair(engine, moves * small);
      const bytes = engine.allocBuffer(small);
      const queue = sender.queue();
      let come: () => void = () => undefined;
      dmb.on('signal', () => come());
      return {
        batch() {
          const told = new Promise<void>((resolve) => (come = resolve));
          for (let i = 0; i < moves; i++) queue.move(dmb.token, i * small, bytes, { signal: 0 });
          queue.submit();
          return told;
        },
        close,
      };
    },
  },
  {
    name: 'ism/stream-64KiB/fabric',
    title: 'a stream to another process through a fabric, writes of 64 KiB',
    operations: chunks,
    bytes: chunks * chunk,
    ...common,
    target: { atLeast: 1 },
    floor: netStream,
    open: async (engine, window) => sending(await throughFabric(engine, window, 'sink', chunks * chunk)),
  },
  {
    name: 'ism/stream-64KiB/direct',
    title: 'a stream to another process by lanes, writes of 64 KiB',
    operations: chunks,
    bytes: chunks * chunk,
    ...common,
    target: { atLeast: 3 },
    floor: netStream,
    open: async (engine, window) => sending(await throughFabric(engine, window, 'direct-sink', chunks * chunk)),
  },
  {
    name: 'ism/stream-64KiB/direct-ring',
    title: 'a stream to another process by lanes, writes of 64 KiB',
    operations: chunks,
    bytes: chunks * chunk,
    ...common,
    target: { atLeast: 0.6 },
    floor: ringStream,
    open: async (engine, window) => sending(await throughFabric(engine, window, 'direct-sink', chunks * chunk)),
  },
  {
    name: 'ism/echo-64B/fabric',
    title: 'a round trip of 64 bytes to another process through a fabric',
    operations: 1,
    bytes: 2 * small,
    ...common,
    target: { atLeast: 0.5 },
    floor: netEcho,
    open: async (engine, window) => echoing(await throughFabric(engine, window, 'echo', small)),
  },
  {
    name: 'ism/echo-64B/direct',
    title: 'a round trip of 64 bytes to another process by lanes',
    operations: 1,
    bytes: 2 * small,
    ...common,
    target: { atLeast: 1 },
    floor: netEcho,
    open: async (engine, window) => echoing(await throughFabric(engine, window, 'direct-echo', small)),
  },
  {
    name: 'ism/console-key/fabric',
    title: 'a key and its echo, of a console in another process through a fabric',
    ...keys,
    target: { atLeast: 0.67 },
    open: (engine, window) => typing(engine, window, 'console'),
  },
  {
    name: 'ism/console-key/direct',
    title: 'a key and its echo, of a console in another process by lanes',
    ...keys,
    target: { atLeast: 0.91 },
    open: (engine, window) => typing(engine, window, 'direct-console'),
  },
];
