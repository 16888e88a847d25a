// A device in another process: what crosses the socket, one message at a time and many together, and how it interrupts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Queue, Region, VfioDevice } from 'ismio';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';

const program = fileURLToPath(new URL('../servers/device.js', import.meta.url));

interface Served {
  readonly device: VfioDevice;
  close(): Promise<void>;
}

/** Starts a process that serves a device, and may listen to its bell beside; and opens the device. */
async function served(
  engine: Engine,
  window: Window,
  { posted = false, duty = 'serve' }: { posted?: boolean; duty?: 'listen' | 'serve' } = {},
): Promise<Served> {
  const folder = mkdtempSync(join(dirname(window.path), 'served-'));
  const path = join(folder, 'socket');
  const words = [program, engine.entries?.['.'] as string, engine.entries?.['./device'] as string, path, duty];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const end = async (): Promise<void> => {
    child.stdin.end();
    await ended;
    rmSync(folder, { recursive: true });
  };
  try {
    await Promise.race([once(child.stdout, 'data'), ended]);
    const device = engine.openVfioUser(path, { posted });
    device.enableMemory();
    return {
      device,
      close() {
        device.close();
        return end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Builds from before there was one are compared with newer ones, too. */
const missing = ({ entries }: Engine): string | null =>
  entries?.['./device'] === undefined ? 'this build has no devices' : null;

const common = { windowBytes: 0, missing };

function load(region: Region): void {
  region.load64(8);
}

/** One batch is one of them: the median over the batches is that of single round trips. */
function loads(how: string, bar: number, atLeast: number): Workload {
  return {
    name: `vfio-user/load-8B/${how}`,
    title: `region.load64, answered by ${bar === 0 ? 'memory' : 'a handler'} of another process`,
    operations: 1,
    bytes: 8,
    ...common,
    target: { atLeast },
    floor: {
      title: 'a round trip of messages as long between two C processes, over a socket of the same kind',
      operations: 1,
      native: true,
      open(_window, { startAnswerer, roundTrip, hangUp }) {
        startAnswerer();
        return { batch: () => roundTrip(), close: () => hangUp() };
      },
    },
    async open(engine, window) {
      const { device, close } = await served(engine, window);
      const region = device.region(bar, { access: 'pread' });
      return { batch: () => load(region), counters: () => region.stats(), close };
    },
  };
}

const block = 4096;
const together = 64;
const rounds = 16;

/** The load at the end waits until all of them are stored. */
function storeBlocks(queue: Queue, region: Region, source: Uint8Array): void {
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < together; i++) queue.write(i * block, source);
    queue.submit();
  }
  region.load64(8);
}

const blocks: Workload = {
  name: 'vfio-user/blocks-4KiB/posted',
  title: 'store blocks of 4 KiB into memory of another process, posted, 64 to a submit',
  operations: rounds * together,
  bytes: rounds * together * block + 8,
  ...common,
  target: { atLeast: 0.8 },
  note: 'a load behind 1024 of them waits until all are stored',
  floor: {
    title: 'a C loop that sends the same messages by as many calls to a C process, which copies each to its place',
    operations: rounds * together,
    native: true,
    open(_window, { startTaker, sendBlocks, hangUp }) {
      startTaker();
      return { batch: () => sendBlocks(rounds), close: () => hangUp() };
    },
  },
  async open(engine, window) {
    const { device, close } = await served(engine, window, { posted: true });
    const region = device.region(0, { access: 'pread' });
    const queue = region.queue({ depth: together });
    const source = engine.allocBuffer(block).fill(0x5a);
    return { batch: () => storeBlocks(queue, region, source), counters: () => region.stats(), close };
  },
};

/** What a signal settles: one at a time. */
class Bell {
  #heard: () => void = () => undefined;

  readonly hear = (): void => this.#heard();

  ring(ring: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#heard = resolve;
      ring();
    });
  }
}

async function openInterrupts(engine: Engine, window: Window): Promise<Running> {
  const { device, close } = await served(engine, window, { duty: 'listen' });
  device.enableBusMaster();
  const msix = device.irq('msix');
  msix.enable();
  const bell = new Bell();
  msix.vector(0).on('interrupt', bell.hear);
  const region = device.region(2);
  let rung = 0;
  const ring = (): void => region.store32(0, ++rung);
  return { batch: () => bell.ring(ring), counters: () => region.stats(), close };
}

const inLoop: Floor = {
  title: "an eventfd that a C process writes to, heard by a callback of Node.js's loop",
  operations: 1,
  native: true,
  open(_window, { startRinger, hear, ring, hangUp }) {
    const bell = new Bell();
    startRinger();
    hear(bell.hear);
    return { batch: () => bell.ring(ring), close: () => hangUp() };
  },
};

const bare: Floor = {
  title: 'an eventfd that a C process writes to and another reads',
  operations: 1,
  native: true,
  open(_window, { startRinger, ringAndWait, hangUp }) {
    startRinger();
    return { batch: () => ringAndWait(), close: () => hangUp() };
  },
};

function interrupts(how: string, floor: Floor): Workload {
  return {
    name: `vfio-user/msix/${how}`,
    title: 'MSI-X of a device in another process, to its handler',
    operations: 1,
    bytes: 4,
    ...common,
    floor,
    ...(floor === inLoop ? { target: { atLeast: 0.77 } } : {}),
    note: 'the other process sees at once that it is to be raised, as it does of the floor: a word of memory says so',
    open: openInterrupts,
  };
}

export const workloads: Workload[] = [
  loads('memory', 0, 0.87),
  loads('handler', 1, 0.4),
  blocks,
  interrupts('loop', inLoop),
  interrupts('bare', bare),
];
