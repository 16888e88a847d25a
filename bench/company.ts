// Processes at the other end of what is measured, in a folder that goes with them, and what is said to them.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Engine, Running, Window } from './workload.js';

const program = fileURLToPath(new URL('./servers/ism.js', import.meta.url));

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Processes at the other end, in a folder that goes with them. */
export class Company {
  readonly folder: string;
  readonly #children: Child[] = [];

  constructor(window: Window) {
    this.folder = mkdtempSync(join(dirname(window.path), 'ism-'));
  }

  async start({ entries }: Engine, duty: string, place: string, every: number): Promise<void> {
    const urls = ['.', './device', './ism', './console'].map((name) => entries?.[name] ?? '');
    const child = spawn(process.execPath, [program, duty, place, String(every), ...urls], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  }

  /** Those that came last end first. */
  async end(): Promise<void> {
    for (const child of this.#children.reverse()) {
      const ended = once(child, 'close');
      child.stdin.end();
      await ended;
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** A stream to a process, and how it ends. */
export interface Line {
  readonly stream: Duplex;
  close(): Promise<void>;
}

export async function throughSocket(engine: Engine, window: Window, duty: string, every: number): Promise<Line> {
  const company = new Company(window);
  const path = join(company.folder, 'net.sock');
  await company.start(engine, `net-${duty}`, path, every);
  const stream = connect({ path });
  await once(stream, 'connect');
  return {
    stream,
    async close() {
      stream.destroy();
      await company.end();
    },
  };
}

/** So many bytes, and the same back. */
export function echoing({ stream, close }: Line, length: number): Running {
  const bytes = new Uint8Array(length).fill(0x5a);
  return {
    async batch() {
      let left = length;
      const come = new Promise<void>((resolve) => {
        const take = (part: Buffer): void => {
          left -= part.length;
          if (left > 0) return;
          stream.off('data', take);
          resolve();
        };
        stream.on('data', take);
      });
      stream.write(bytes);
      await come;
    },
    close,
  };
}
