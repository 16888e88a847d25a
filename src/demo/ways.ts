// The ways in which the demo moves bytes into a region. Each begins at offset 0 and moves all of them.
import { writeSync } from 'node:fs';
import type { Pool, Region } from 'ismio';

/** Told how many bytes have gone so far. */
export type Tick = (bytes: number) => void;

export interface Way {
  readonly name: string;
  /** What it does, for one who sees it for the first time. */
  readonly explanation: string;
  readonly move: (region: Region, source: Uint8Array, tick: Tick) => void | Promise<void>;
  /** Accesses it makes, where the region does not see and count them. */
  readonly operations?: (bytes: number) => number;
}

/** Between two ticks; a multiple of every boundary, so that pieces cost no additional store block. */
const pieceBytes = 1 << 20;
const queueDepth = 1 << 16;
const systemCallBytes = 4096;

export const perWord: Way = {
  name: 'per-word stores',
  explanation: 'region.store64: one call into the addon and one 8-byte store for each word',
  move(region, source, tick) {
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    for (const [start, end] of pieces(source.length)) {
      const lastWord = end - 8;
      let at = start;
      for (; at <= lastWord; at += 8) region.store64(at, view.getBigUint64(at, true));
      for (; at < end; at++) region.store8(at, view.getUint8(at));
      tick(end);
    }
  },
};

export const plannedWrites: Way = {
  name: 'planned writes',
  explanation: 'region.write, 1 MiB at a time: the planner makes store blocks of them',
  move(region, source, tick) {
    for (const [start, end] of pieces(source.length)) {
      region.write(start, source.subarray(start, end));
      tick(end);
    }
  },
};

export const mergedQueue: Way = {
  name: 'merged queue',
  explanation: "queue.storeWords: the same 8-byte stores, queued; merge 'adjacent' joins them",
  move(region, source, tick) {
    using queue = region.queue({ depth: queueDepth, merge: 'adjacent' });
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    for (const [start, end] of pieces(source.length)) {
      const lastWord = end - 8;
      let at = start;
      while (at <= lastWord) {
        if (queue.storeWords(at, view.getUint32(at, true), view.getUint32(at + 4, true))) at += 8;
        else queue.submit();
      }
      while (at < end) {
        if (queue.store8(at, view.getUint8(at))) at++;
        else queue.submit();
      }
      tick(end);
    }
    queue.submit();
  },
};

export function pooled(pool: Pool): Way {
  return {
    name: `pool of ${pool.threads}`,
    explanation: `pool.write: the planned write, shared out to ${pool.threads} threads`,
    async move(region, source, tick) {
      await pool.write(region, 0, source, { onProgress: ({ bytes }) => tick(bytes) });
    },
  };
}

/** What Node.js itself has for it; on ism-vfio-pci, too, each such call would be one store block. */
export function systemCalls(descriptor: number): Way {
  return {
    name: 'fs.writeSync',
    explanation: `to compare, without this package: one system call for each ${systemCallBytes} bytes`,
    operations: (bytes) => Math.ceil(bytes / systemCallBytes),
    move(_region, source, tick) {
      for (const [start, end] of pieces(source.length)) {
        for (let at = start; at < end; at += systemCallBytes) {
          writeSync(descriptor, source, at, Math.min(systemCallBytes, end - at), at);
        }
        tick(end);
      }
    },
  };
}

export function* pieces(length: number): Generator<[start: number, end: number]> {
  for (let start = 0; start < length; start += pieceBytes) yield [start, Math.min(length, start + pieceBytes)];
}
