// A shell in a terminal of its own, by script(1): what is typed there, and what it shows.
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { patience } from './scale.js';

/** Why a shell cannot be tried here; false where it can. */
export function missing(...programs: readonly string[]): string | false {
  const absent = programs.filter((name) => spawnSync('which', [name]).status !== 0);
  return absent.length === 0 ? false : `not installed: ${absent.join(', ')}`;
}

/**
 * Starts a shell, types, and gives all that the terminal has shown once that has `until` in it.
 * @param shell the command, such as 'zsh -f'
 * @param typed lines, and at the end what is not sent off: '\t' asks for completions
 */
export async function typedInto(shell: string, typed: readonly string[], until: RegExp): Promise<string> {
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
  for (const [index, text] of typed.entries()) {
    const last = index === typed.length - 1;
    child.stdin.write(last ? text : `${text}; echo line-$((${index} + 1000))\n`);
    await reaches(last ? until : new RegExp(`line-${index + 1000}\\s`));
  }
  child.kill('SIGKILL'); // with it goes the terminal, and the shell hears of that
  await ended;
  return shown;
}
