// A guest from its start to its end: the console is shown as it comes, a closing line is demanded, and whatever does not
// end by itself is ended.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface GuestOptions {
  /** For messages: 'x86-64'. */
  readonly name: string;
  /** QEMU, or a program with words that start it: ['chroot', root, 'qemu-system-s390x']. */
  readonly program: readonly string[];
  /** QEMU's options. The guest's console has to be on standard output: '-nographic' or '-serial', 'stdio'. */
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The line that a guest prints when it went to its end, whatever its tests said. */
  readonly closing: RegExp;
  /** The longest it may take. */
  readonly seconds: number;
  /** Told of each line of the console as it comes. */
  readonly onLine?: (line: string) => void;
  /** Kills the machine when it is aborted: it ends as if its host had lost power, and nothing in it hears of that. */
  readonly power?: AbortSignal;
}

export interface GuestRun {
  readonly console: readonly string[];
  readonly closing: RegExpExecArray;
  readonly seconds: number;
}

/** How long QEMU may take to end after the closing line, in seconds. */
const grace = 10;

/** How often a guest is started whose kernel dies before its first program ran. */
const mostStarts = 3;

/**
 * Runs a guest. Rejects when QEMU fails or when the closing line does not come in time. A kernel that dies while it boots is started
 * again: now and then one meets its own breakpoint where it patches its code while another emulated processor runs it (Debian's QEMU
 * 7.2, "Oops: int3").
 */
export async function runGuest(options: GuestOptions): Promise<GuestRun> {
  for (let start = 1; ; start++) {
    const run = await runOnce(options, start === mostStarts);
    if (run !== null) return run;
    console.log(`${options.name}: the emulated kernel died while it booted; start ${start + 1} of ${mostStarts}`);
  }
}

/** @returns null when its kernel died before any test, and it may be started again */
function runOnce(options: GuestOptions, isLast: boolean): Promise<GuestRun | null> {
  const began = performance.now();
  const limit = ['--kill-after=5', String(options.seconds), ...options.program, ...options.words];
  const env = { ...process.env, ...options.env };
  const child = spawn('timeout', limit, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let complaints = '';
  let closing: RegExpExecArray | null = null;
  let ending: NodeJS.Timeout | undefined;
  // timeout, which cannot pass on this signal, leads a group of processes with QEMU in it.
  const cut = () => {
    const isThere = child.exitCode === null && child.signalCode === null;
    if (isThere && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  options.power?.addEventListener('abort', cut);
  createInterface({ input: child.stdout }).on('line', (raw) => {
    const line = readable(raw);
    lines.push(line);
    console.log(line);
    options.onLine?.(line);
    closing ??= options.closing.exec(line);
    // timeout passes the signal on to QEMU.
    if (closing !== null) ending ??= setTimeout(() => child.kill('SIGTERM'), grace * 1000);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(ending);
      options.power?.removeEventListener('abort', cut);
      const seconds = (performance.now() - began) / 1000;
      if (closing !== null) return resolve({ console: lines, closing, seconds });
      const diedBooting = lines.some((line) => /Kernel panic/.test(line)) && !lines.some((line) => /^TAP /.test(line));
      if (diedBooting && !isLast) return resolve(null);
      const why = code === 124 || code === 137 ? `${options.seconds} s passed` : `QEMU ended with ${code ?? signal}`;
      reject(new Error(`the guest ${options.name} did not say ${options.closing}: ${why}\n${complaints}`));
    });
  });
}

/** A console's line without what moves a cursor. */
function readable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are told by control characters
  return line.replace(/\u001b\[[0-9;?]*[A-Za-z]|\u001bc|[\r\u0000]/g, '');
}
