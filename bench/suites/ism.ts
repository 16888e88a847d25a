// ISM: moves within a process, streams between processes through a fabric, and the keys of a console, against what one would
// take without.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type * as ism from 'ismio/ism';
import type { Engine, Floor, Window, Workload } from '../workload.js';
import type * as lines from './ism-lines.js';

// Of each build a copy of its own, as this module is.
const own = (await import(`./ism-lines.js${new URL(import.meta.url).search}`)) as typeof lines;
const { chunk, chunks, echoing, intoSocket, moduleOf, sending, small, throughFabric, throughSocket, typing } = own;
const moves = 64;
const block = 4096;

/** Builds from before there was one are compared with newer ones, too. */
const missing = ({ entries }: Engine): string | null =>
  entries?.['./ism'] === undefined ? 'this build has no ISM' : null;

const common = { windowBytes: 0, missing };

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

const netInto: Floor = {
  title: 'the same over a unix socket of node:net, with onread',
  operations: chunks,
  open: async (window, _floors, engine) => sending(await intoSocket(engine, window)),
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

const intoMemory = {
  operations: chunks,
  bytes: chunks * chunk,
  ...common,
  open: async (engine: Engine, window: Window) =>
    sending(await throughFabric(engine, window, 'direct-into-sink', chunks * chunk)),
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
    name: 'ism/stream-64KiB/direct-into',
    title: 'a stream to another process by lanes, writes of 64 KiB, read into one memory',
    ...intoMemory,
    target: { atLeast: 3 },
    floor: netInto,
  },
  {
    name: 'ism/stream-64KiB/direct-ring',
    title: 'a stream to another process by lanes, writes of 64 KiB, read into one memory',
    ...intoMemory,
    target: { atLeast: 0.6 },
    floor: ringStream,
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
