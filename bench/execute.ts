// Programs that are run to their end, and that end with this process: a build, interrupted, must not go on by itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { atExit } from '../src/support/exit.js';
import { holdSignals, releaseSignals } from './signals.js';

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program that failed has said. */
export interface Failed extends Error, Output {
  /** Its exit code, the signal that ended it, or why it could not be started. */
  readonly code: number | string;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Those that run, each with what takes back that it ends with this process. */
const running = new Map<ChildProcess, () => void>();

/** It leads a group of its own, so that what it has started itself ends with it. */
function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** What was begun last ends first, so a program ends before the folder that it was given to write to is removed. */
function enter(child: ChildProcess): void {
  holdSignals();
  running.set(
    child,
    atExit(() => end(child)),
  );
}

function quit(child: ChildProcess): void {
  const forget = running.get(child);
  if (forget === undefined) return;
  running.delete(child);
  forget();
  releaseSignals();
}

/**
 * Runs a program without a shell.
 * @throws Failed where it does not end with 0
 */
export function execute(program: string, words: readonly string[], where: Surroundings = {}): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { ...where, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    enter(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const fail = (message: string, code: number | string): void => {
      reject(Object.assign(new Error(message), { code, stdout, stderr }) satisfies Failed);
    };
    child.once('error', (error: NodeJS.ErrnoException) => {
      quit(child);
      fail(error.message, error.code ?? 'unknown error');
    });
    child.once('close', (code, signal) => {
      quit(child);
      if (code === 0) resolve({ stdout, stderr });
      else fail(`${program} ended with ${code ?? signal}`, code ?? signal ?? 'no exit code');
    });
  });
}
