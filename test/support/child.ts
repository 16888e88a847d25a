// Programs that a test runs in a process of their own, because they end it or because it must stay clean.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { patience } from './scale.js';

/** The package's root, where `import 'ismio'` finds itself. */
export const packageRoot = fileURLToPath(new URL('../../../', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** A program, with its words, that starts Node.js in its place. */
  readonly through?: readonly string[];
}

/** Runs an ES module given as text, from the package's root. Ended by force after a minute. */
export function runModule(source: string, options: ChildOptions = {}): Promise<Ended> {
  return run([...(options.flags ?? []), '--input-type=module', '--eval', source], options);
}

/** Runs CommonJS given as text. */
export function runScript(source: string, options: ChildOptions = {}): Promise<Ended> {
  return run([...(options.flags ?? []), '--input-type=commonjs', '--eval', source], options);
}

function run(words: readonly string[], options: ChildOptions): Promise<Ended> {
  const began = performance.now();
  const [program = process.execPath, ...before] = options.through ?? [];
  const node = options.through === undefined ? [] : [process.execPath];
  const child = spawn(program, [...before, ...node, ...words], {
    cwd: packageRoot,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patience(60_000),
    killSignal: 'SIGKILL',
  });
  return said(child).then((ended) => ({ ...ended, milliseconds: performance.now() - began }));
}

/** What a program says until it ends. */
export function said(
  child: ChildProcessByStdio<Writable | null, Readable, Readable>,
): Promise<Omit<Ended, 'milliseconds'>> {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
