// A command in a pseudo-terminal. Node.js has none of its own: node-pty makes them, or a build of it that comes compiled, and
// it is asked for when a command is served.
import { readSync } from 'node:fs';
import { native } from '../addon/binding.js';
import { checkOptions, checkText } from '../support/check.js';
import { shown, systemError, typeError } from '../support/errors.js';
import { Keys } from './keys.js';
import type { OpenLine } from './line.js';
import { noLine } from './lines.js';

/** Packages with the same interface: compiled for x86-64 and arm64, and to be compiled where it is installed. */
const packages = ['@lydell/node-pty', 'node-pty'];

/** The part of node-pty's interface that is used. */
interface NodePty {
  spawn(file: string, words: string[], options: Record<string, unknown>): Pty;
}
interface Pty {
  readonly fd: number;
  readonly pid: number;
  onData(told: (bytes: Uint8Array) => void): unknown;
  onExit(told: (end: { exitCode: number; signal?: number }) => void): unknown;
  /** Its descriptor has gone; the command may go on without a terminal. */
  on(event: 'close' | 'end', told: () => void): unknown;
  resize(columns: number, rows: number): void;
  kill(signal?: string): void;
}

/** What `commandLine` takes. */
export interface CommandOptions {
  /** Default: this process's. */
  readonly cwd?: string;
  /** Default: this process's, and TERM as below. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What the terminal is called in TERM. Default 'xterm-256color'. */
  readonly term?: string;
}

/**
 * A command as a line: `commandLine(['bash', '-l'])`. A break interrupts its foreground, as from a terminal with BRKINT.
 * Opening it throws ERR_ISMIO_CONSOLE_LINE where no package makes pseudo-terminals, or there is no such command.
 */
export function commandLine(words: readonly string[], options: CommandOptions = {}): OpenLine {
  checkOptions(options, ['cwd', 'env', 'term'], 'commandLine');
  if (!Array.isArray(words) || words.length === 0) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `words must be an array of at least one, not ${shown(words)}`, {});
  }
  const [file, ...rest] = words.map((word) => checkText(word, 'a word')) as [string, ...string[]];
  const { cwd, term = 'xterm-256color' } = options;
  return async (listener, size) => {
    const { spawn } = await nodePty();
    const env = given({ ...(options.env ?? process.env), TERM: term });
    const shape = { cols: size.columns || 80, rows: size.rows || 24 };
    const pty = spawned(() => spawn(file, rest, { ...shape, cwd, env, name: term, encoding: null }), file);
    keepToThisProcess(pty);
    const keys = new Keys(pty.fd, () => listener.drained());
    pty.onData((bytes) => listener.output(bytes));
    pty.on('end', () => takeRest(pty.fd, (bytes) => listener.output(bytes)));
    let isOpen = true;
    pty.on('close', () => {
      isOpen = false;
      keys.close();
      listener.drained();
    });
    let hasExited = false;
    pty.onExit(({ exitCode, signal = 0 }) => {
      hasExited = true;
      listener.ended({ status: exitCode, signal: signal === 0 ? null : signal });
    });
    return {
      title: words.join(' '),
      write: (bytes) => keys.write(bytes),
      resize: ({ columns, rows }) => {
        if (isOpen) pty.resize(columns, rows);
      },
      sendBreak: () => void keys.write(Uint8Array.of(interrupt)),
      close: () => {
        if (!hasExited) pty.kill('SIGHUP');
      },
    };
  };
}

/** node-pty would have a variable without a value be the word 'undefined'. */
function given(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((one): one is [string, string] => one[1] !== undefined));
}

/** node-pty leaves this end of the terminal to all that is started later: another command could read it, and type. */
function keepToThisProcess(pty: Pty): void {
  const errno = native.closeOnExec(pty.fd);
  if (errno === 0) return;
  pty.kill('SIGHUP');
  const cause = systemError(errno, 'F_SETFD');
  throw noLine(`the terminal cannot be kept from other commands: ${cause.message}`, {}, cause);
}

/**
 * What the terminal still has. Node.js says that it has ended once its other end was closed and one read brought less than there
 * was room for, as each read of a terminal does (libuv 1.46, uv__stream_io in src/unix/stream.c): the last words may be behind that.
 */
function takeRest(descriptor: number, output: (bytes: Uint8Array) => void): void {
  for (;;) {
    const bytes = Buffer.allocUnsafe(restBytes);
    let length: number;
    try {
      length = readSync(descriptor, bytes);
    } catch {
      return; // EIO is a terminal's end, EAGAIN says that somebody else has it open
    }
    if (length === 0) return;
    output(bytes.subarray(0, length));
  }
}

/** More than a terminal gives at a time. */
const restBytes = 8192;

/** The character that a terminal takes for an interrupt unless it was told otherwise (stty intr). */
const interrupt = 3;

function spawned(spawn: () => Pty, file: string): Pty {
  try {
    return spawn();
  } catch (cause) {
    throw noLine(`${file} cannot be started: ${(cause as Error).message}`, { file }, cause);
  }
}

async function nodePty(): Promise<NodePty> {
  let broken: unknown;
  for (const name of packages) {
    try {
      const loaded = (await import(name)) as NodePty & { default?: NodePty };
      return loaded.default ?? loaded;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // One that is there may have nothing for this machine, and the other one may.
      if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') broken ??= error;
    }
  }
  const found = broken === undefined ? '' : `; what is installed does not load: ${(broken as Error).message}`;
  const text =
    'a command needs a pseudo-terminal, which Node.js does not have: npm install @lydell/node-pty ' +
    `(compiled for x64 and arm64), or node-pty (compiled where it is installed; this is ${process.arch})${found}`;
  throw noLine(text, { arch: process.arch }, broken);
}
