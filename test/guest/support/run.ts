// Programs of the host, run to their end.
import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What the program reads. */
  readonly input?: string;
  /** The longest it may take, in seconds; ended by force after that. */
  readonly seconds?: number;
}

/** What `program` wrote to its standard output. Rejects with all that it said when it ends any way but well. */
export function run(program: string, words: readonly string[], options: RunOptions = {}): Promise<string> {
  const { cwd, env, input = '', seconds = 600 } = options;
  const child = spawn(program, words, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, LC_ALL: 'C.UTF-8', ...env },
  });
  // Not the `timeout` of spawn: that goes on, and keeps the process, when the program did not start.
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, seconds * 1000);
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  // A program that ends without reading closes the pipe; its exit status says the rest.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise<string>((resolve, reject) => {
    child.on('error', (cause) => reject(new Error(`${program} did not start: ${cause.message}`, { cause })));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const end = signal === null ? `status ${code}` : `${signal}${late ? `, after ${seconds} s` : ''}`;
      reject(new Error(`${[program, ...words].join(' ')}\nended with ${end}:\n${output}${errors}`));
    });
  }).finally(() => clearTimeout(limit));
}
