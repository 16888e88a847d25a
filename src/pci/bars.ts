// The BARs of a function, from its file `resource`: a line each with first address, last address and flags.
import { join } from 'node:path';
import { readText } from './tree.js';

/** A base address register of a function, as the kernel has assigned it; addresses and sizes are in bytes. */
export interface PciBar {
  /** Which BAR it is, from 0 to 5. */
  readonly index: number;
  /** 'memory': it is mapped. 'io': it is reached through I/O ports. */
  readonly kind: 'memory' | 'io';
  /** Where the kernel has placed it on the bus. */
  readonly address: bigint;
  /** How long it is, in bytes. */
  readonly size: bigint;
  /** Whether reads of it have no effects, as the device says itself. */
  readonly prefetchable: boolean;
  /** A BAR of 64 bits; it takes the place of the next one as well. */
  readonly wide: boolean;
}

/** Linux include/linux/ioport.h: IORESOURCE_IO, _MEM, _PREFETCH, _MEM_64. */
const flag = { io: 0x100n, memory: 0x200n, prefetchable: 0x2000n, wide: 0x100000n } as const;

/** The first six lines are the BARs; behind them come the ROM and the windows of bridges. */
const barCount = 6;

export function readBars(folder: string): PciBar[] {
  const lines = (readText(join(folder, 'resource')) ?? '').split('\n').slice(0, barCount);
  return lines.map(parseBar).filter((bar) => bar !== null);
}

function parseBar(line: string, index: number): PciBar | null {
  const [, first, last, flags] = /^(0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16}) (0x[0-9a-f]{1,16})$/i.exec(line.trim()) ?? [];
  if (first === undefined || last === undefined || flags === undefined) return null;
  const [address, end, bits] = [BigInt(first), BigInt(last), BigInt(flags)];
  const isMemory = (bits & flag.memory) !== 0n;
  if ((!isMemory && (bits & flag.io) === 0n) || end <= address) return null;
  return {
    index,
    kind: isMemory ? 'memory' : 'io',
    address,
    size: end - address + 1n,
    prefetchable: (bits & flag.prefetchable) !== 0n,
    wide: (bits & flag.wide) !== 0n,
  };
}
