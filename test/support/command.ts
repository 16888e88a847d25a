// The command line in a process of its own.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot, said } from './child.js';
import { patience } from './scale.js';

// On a machine that is emulated, the one that emulates comes first.
const node = (process.env['ISMIO_TEST_NODE'] ?? process.execPath).split(' ');
const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');

export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Where {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The most that a file may grow to, in KiB: a disk that is full. */
  readonly fileLimit?: number;
  /** A file for its standard output: `stdout` is empty then. */
  readonly stdoutTo?: string;
}

/** A program, and what it is given, that others start as `ismio` with these words. */
export function commandOf(words: readonly string[]): string[] {
  return [...node, main, ...words];
}

/** Starts `ismio` with these words. Ended by force after two minutes. */
export function startIsmio(words: readonly string[], where: Where = {}) {
  const { cwd = packageRoot, env = {}, fileLimit, stdoutTo } = where;
  const command = commandOf(words);
  const limit = fileLimit === undefined ? '' : `ulimit -f ${fileLimit}; `;
  const output = stdoutTo === undefined ? '' : ` > ${stdoutTo}`;
  const throughShell = ['bash', '-c', `${limit}exec "$0" "$@"${output}`, ...command];
  const [program = '', ...args] = limit + output === '' ? command : throughShell;
  return spawn(program, args, {
    cwd,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, GITHUB_STEP_SUMMARY: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patience(120_000),
    killSignal: 'SIGKILL',
  });
}

/** Runs it to its end; whoever would read its output has gone before it begins. */
export async function ismioUnread(words: readonly string[], where: Where = {}): Promise<Said> {
  const child = startIsmio(words, where);
  child.stdout.destroy();
  return await said(child);
}

/** Runs it to its end. */
export function ismio(words: readonly string[], where: Where = {}): Promise<Said> {
  return said(startIsmio(words, where)).then(({ code, stdout, stderr }) => ({ code, stdout, stderr }));
}
