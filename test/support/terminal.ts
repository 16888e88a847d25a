// A shell in a terminal of its own, by script(1): what is typed there, and what it shows.
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { patience } from './scale.js';

/** Why a shell cannot be tried here; false where it can. */
export function missing(...programs: readonly string[]): string | false {
  const absent = programs.filter((name) => spawnSync('which', [name]).status !== 0);
  return absent.length === 0 ? false : `not installed: ${absent.join(', ')}`;
}

/** What is typed as it stands, such as '\t' for completions, and what the terminal shows then. */
export interface Keys {
  readonly keys: string;
  readonly until: RegExp;
}

/**
 * Starts a shell, types, and gives all that the terminal has shown.
 * @param shell the command, such as 'zsh -f'
 * @param lines each is waited for
 * @param typed behind them, one after the other
 */
export async function typedInto(shell: string, lines: readonly string[], ...typed: readonly Keys[]): Promise<string> {
  const child = spawn('script', ['--quiet', '--return', '--command', shell, '/dev/null'], {
    env: { ...process.env, TERM: 'dumb', PS1: 'prompt> ', NODE_TEST_CONTEXT: undefined },
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: patience(60_000),
    killSignal: 'SIGKILL',
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const reaches = async (what: RegExp): Promise<void> => {
    const end = performance.now() + patience(20_000);
    while (!what.test(shown) && performance.now() < end) await sleep(20);
  };
  const numbered = lines.map((line, index) => ({
    keys: `${line}; echo line-$((${index} + 1000))\n`,
    until: new RegExp(`line-${index + 1000}\\s`),
  }));
  for (const { keys, until } of [...numbered, ...typed]) {
    child.stdin.write(keys);
    await reaches(until);
  }
  child.kill('SIGKILL'); // with it goes the terminal, and the shell hears of that
  await ended;
  return shown;
}
