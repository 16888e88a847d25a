// Consoles: a key and its echo between two processes through a fabric, against a socket between two.
import { join } from 'node:path';
import type * as consoles from 'ismio/console';
import type * as ism from 'ismio/ism';
import { Company, echoing, throughSocket } from '../company.js';
import type { Engine, Floor, Running, Window, Workload } from '../workload.js';

/** Builds from before there was one are compared with newer ones, too. */
const missing = ({ entries }: Engine): string | null =>
  entries?.['./console'] === undefined ? 'this build has no consoles' : null;

const common = { windowBytes: 0, operations: 1, bytes: 2, missing };

async function typing(engine: Engine, window: Window, duty: string): Promise<Running> {
  const company = new Company(window);
  const { openIsm } = (await import(engine.entries?.['./ism'] as string)) as typeof ism;
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

const socket: Floor = {
  title: 'a byte and its echo over a unix socket of node:net',
  operations: 1,
  open: async (window, _floors, engine) => echoing(await throughSocket(engine, window, 'echo', 1), 1),
};

export const workloads: Workload[] = [
  {
    name: 'console/key/fabric',
    title: 'a key and its echo, of a console in another process through a fabric',
    ...common,
    target: { atLeast: 0.67 },
    floor: socket,
    open: (engine, window) => typing(engine, window, 'console'),
  },
  {
    name: 'console/key/direct',
    title: 'a key and its echo, of a console in another process by lanes',
    ...common,
    target: { atLeast: 0.91 },
    floor: socket,
    open: (engine, window) => typing(engine, window, 'direct-console'),
  },
];
