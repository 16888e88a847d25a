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
}

/** Starts `ismio` with these words. Ended by force after two minutes. */
export function startIsmio(words: readonly string[], { cwd = packageRoot, env = {}, fileLimit }: Where = {}) {
  const command = [...node, main, ...words];
  const limited = ['bash', '-c', `ulimit -f ${fileLimit}; exec "$0" "$@"`, ...command];
  const [program = '', ...args] = fileLimit === undefined ? command : limited;
  return spawn(program, args, {
    cwd,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, GITHUB_STEP_SUMMARY: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patience(120_000),
    killSignal: 'SIGKILL',
  });
}

/** Runs it to its end. */
export function ismio(words: readonly string[], where: Where = {}): Promise<Said> {
  return said(startIsmio(words, where)).then(({ code, stdout, stderr }) => ({ code, stdout, stderr }));
}
