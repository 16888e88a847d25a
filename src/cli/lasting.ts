// Commands that last until they are told to end, and say meanwhile what happens.
import { readFileSync } from 'node:fs';
import { harmless } from '../support/text.js';
import { print } from './output.js';

/** Aborted by SIGINT, SIGTERM and, where nobody has it ignored as nohup does, SIGHUP. */
export function signalled(): AbortSignal {
  const ending = new AbortController();
  const ended = ['SIGINT', 'SIGTERM', ...(isHangupIgnored() ? [] : ['SIGHUP'])] as const;
  for (const signal of ended) process.once(signal, () => ending.abort());
  return ending.signal;
}

/** Who listens to a signal ignores it no more, so it is asked before (proc(5): a bit for each signal, from 1 on). */
function isHangupIgnored(): boolean {
  const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${ignored}`) & 1n) !== 0n;
}

/** A line on stderr: what is served may have the standard output. */
export function sayInWords(what: string, values: Readonly<Record<string, unknown>>): void {
  const told = Object.entries(values).map(([name, value]) => `${name} ${String(value)}`);
  process.stderr.write(`${harmless([what, ...told].join('  '))}\n`);
}

/** A line of JSON on the standard output. */
export function sayInJson(event: string, values: Readonly<Record<string, unknown>>): void {
  print(JSON.stringify({ event, ...values }));
}
