// A fabric with two functions: consoles are served at the one by the test itself, and the other is for processes that attach.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConsoleOptions, serveConsoles } from 'ismio/console';
import { serve } from 'ismio/device';
import { createFabric, openIsm } from 'ismio/ism';
import { packageRoot } from './child.js';

export const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');
/** Of processes that are started: a test's runner would take their output for that of a test. */
export const env: NodeJS.ProcessEnv = { ...process.env, NODE_TEST_CONTEXT: undefined };

export async function consoleHouse() {
  const folder = mkdtempSync(join(tmpdir(), 'ismio-console-house-'));
  const socket = join(folder, '0.sock');
  const fabric = createFabric();
  const far = await openIsm(fabric.function({ gid: 0x11n }).open());
  const near = await serve(fabric.function({ gid: 0x22n }), { path: socket });
  const children = new Set<ChildProcess>();

  const device = ['--device', `vfio-user:${socket}`];
  /** The words of `ismio console attach` for this console. */
  const attach = (...words: string[]): string[] => [main, 'console', 'attach', ...device, '--peer', '0x11', ...words];
  const run = (words: readonly string[]) => {
    const child = spawn(process.execPath, words, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    children.add(child);
    child.once('close', () => children.delete(child));
    let told = '';
    child.stderr.on('data', (bytes) => (told += String(bytes)));
    return { child, told: () => told };
  };
  return {
    ...{ folder, far, device, attach },
    attached: (...words: string[]) => run(attach(...words)),
    /** `ismio` with these words, and what it says. */
    started(...words: string[]) {
      const { child, told } = run([main, ...words]);
      let said = '';
      child.stdout.on('data', (bytes) => (said += String(bytes)));
      return { child, told, said: () => said };
    },
    /** A console, until it is disposed of. */
    async served(line: ConsoleOptions['line'], more: Partial<ConsoleOptions> = {}) {
      const server = await serveConsoles(far, { consoles: [{ line, ...more }] });
      const over = once(server, 'close');
      return {
        server,
        writer: () => server.consoles[0]?.writer ?? null,
        async [Symbol.asyncDispose]() {
          server.close();
          await over;
        },
      };
    },
    async close() {
      for (const child of [...children]) {
        child.kill('SIGKILL');
        await once(child, 'close');
      }
      far.close();
      await near[Symbol.asyncDispose]();
      fabric.close();
      rmSync(folder, { recursive: true });
    },
  };
}
