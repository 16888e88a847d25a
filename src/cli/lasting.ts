// Commands that last until they are told to end, and say meanwhile what happens.
import { harmless } from '../support/text.js';
import { outliveReader, print } from './output.js';

/** Aborted by SIGINT, SIGTERM and SIGHUP, which Node.js hears even where nohup had it ignored. */
export function signalled(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ending.abort());
  return ending.signal;
}

/** A line on stderr: what is served may have the standard output. */
export function sayInWords(what: string, values: Readonly<Record<string, unknown>>): void {
  const told = Object.entries(values).map(([name, value]) => `${name} ${String(value)}`);
  process.stderr.write(`${harmless([what, ...told].join('  '))}\n`);
}

/** A line of JSON on the standard output. A disk does not go from under its clients when whoever reads this goes. */
export function sayInJson(event: string, values: Readonly<Record<string, unknown>>): void {
  outliveReader();
  print(JSON.stringify({ event, ...values }));
}
