// What a run has made for itself goes when it is told to end.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { said } from './support/child.js';
import { startIsmio } from './support/command.js';
import { temporaryFolder } from './support/files.js';

const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

type Child = ReturnType<typeof startIsmio>;

/** Runs an ES module given as text. */
function startModule(source: string): Child {
  const words = ['--input-type=module', '--eval', source];
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  return spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
}

/** Sends the signal as soon as `windowOf` finds a window, and waits for the end. */
async function ended(
  child: Child,
  signal: NodeJS.Signals,
  windowOf: (pid: number, said: string) => string | undefined,
): Promise<{ code: number | null; window: string }> {
  let text = '';
  child.stdout.on('data', (part: string) => {
    text += part;
  });
  child.stderr.on('data', (part: string) => {
    text += part;
  });
  const closed = said(child);
  let window: string | undefined;
  while (window === undefined && child.exitCode === null) {
    await sleep(10);
    window = windowOf(child.pid as number, text);
  }
  assert.ok(window !== undefined && existsSync(window), text);
  child.kill(signal);
  return { code: (await closed).code, window };
}

const printed = (_pid: number, said: string): string | undefined => said.match(/^(\/.*\/window)$/m)?.[1];

const mapped = (pid: number): string | undefined =>
  readFileSync(`/proc/${pid}/maps`, 'utf8').match(/ (\/\S*\/ismio-bench-\w+\/window)$/m)?.[1];

for (const signal of signals) {
  const exitCode = 128 + constants.signals[signal];

  test(`${signal} ends whoever has a window, and the window goes`, async () => {
    const url = JSON.stringify(new URL('../bench/window.js', import.meta.url).href);
    const program = `import { makeWindow } from ${url}; console.log(makeWindow(4096).path); setInterval(() => {}, 1000);`;
    const { code, window } = await ended(startModule(program), signal, printed);
    assert.deepEqual([code, existsSync(join(window, '..'))], [exitCode, false]);
  });
}

test('bench ends at SIGTERM, and its window goes', async (t) => {
  const suite = join(temporaryFolder(t), 'suite.mjs');
  const open =
    'open(_engine, { path }) { console.log(path); return { batch: () => new Promise((resolve) => setTimeout(resolve, 500)), close() {} }; }';
  const fields = "name: 'own/batch/wait', title: 'waits', operations: 1, bytes: 0, windowBytes: 4096";
  writeFileSync(suite, `export const workloads = [{ ${fields}, ${open} }];`);
  const { code, window } = await ended(startIsmio(['bench', '--suite', suite]), 'SIGTERM', printed);
  assert.deepEqual([code, existsSync(join(window, '..'))], [143, false]);
});

test('profile ends at SIGINT though its workload never waits, and its window goes', async () => {
  const words = ['profile', 'queue/writes-64B/staged', '--seconds', '100'];
  const { code, window } = await ended(startIsmio(words), 'SIGINT', mapped);
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
