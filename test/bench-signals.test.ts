// What a run has made for itself goes when it is told to end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { packageRoot } from './support/child.js';
import { temporaryFolder } from './support/files.js';

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');

/** Sends the signal as soon as `windowOf` finds a window, and waits for the end. */
async function ended(
  words: readonly string[],
  signal: NodeJS.Signals,
  windowOf: (pid: number, said: string) => string | undefined,
): Promise<{ code: number | null; window: string }> {
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const child = spawn(process.execPath, words, { cwd: packageRoot, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  let window: string | undefined;
  while (window === undefined && child.exitCode === null) {
    await setTimeout(10);
    window = windowOf(child.pid as number, said);
  }
  assert.ok(window !== undefined && existsSync(window), said);
  child.kill(signal);
  return { code: await closed, window };
}

const printed = (_pid: number, said: string): string | undefined => said.match(/^(\/.*\/window)$/m)?.[1];

const mapped = (pid: number): string | undefined =>
  readFileSync(`/proc/${pid}/maps`, 'utf8').match(/ (\/\S*\/ismio-bench-\w+\/window)$/m)?.[1];

for (const signal of signals) {
  const exitCode = 128 + constants.signals[signal];

  test(`${signal} ends whoever has a window, and the window goes`, async () => {
    const url = JSON.stringify(new URL('../bench/window.js', import.meta.url).href);
    const program = `import { makeWindow } from ${url}; console.log(makeWindow(4096).path); setInterval(() => {}, 1000);`;
    const { code, window } = await ended(['--input-type=module', '-e', program], signal, printed);
    assert.deepEqual([code, existsSync(join(window, '..'))], [exitCode, false]);
  });
}

test('bench ends at SIGTERM, and its window goes', async (t) => {
  const suite = join(temporaryFolder(t), 'suite.mjs');
  const open =
    'open(_engine, { path }) { console.log(path); return { batch: () => new Promise((resolve) => setTimeout(resolve, 500)), close() {} }; }';
  const fields = "name: 'own/batch/wait', title: 'waits', operations: 1, bytes: 0, windowBytes: 4096";
  writeFileSync(suite, `export const workloads = [{ ${fields}, ${open} }];`);
  const { code, window } = await ended([main, 'bench', '--suite', suite], 'SIGTERM', printed);
  assert.deepEqual([code, existsSync(join(window, '..'))], [143, false]);
});

test('profile ends at SIGINT though its workload never waits, and its window goes', async () => {
  const words = [main, 'profile', 'queue/writes-64B/staged', '--seconds', '100'];
  const { code, window } = await ended(words, 'SIGINT', mapped);
  assert.deepEqual([code, existsSync(join(window, '..'))], [130, false]);
});

test("without a window a signal is nobody's matter here", async () => {
  const { makeWindow } = await import('../bench/window.js');
  const listeners = (): number[] => [...signals, 'exit'].map((name) => process.listenerCount(name));
  const before = listeners();
  const windows = [makeWindow(1), makeWindow(1)];
  assert.ok(listeners().every((count, i) => count > (before[i] as number)));
  for (const { remove } of [...windows, ...windows]) remove();
  assert.deepEqual(listeners(), before);
});
