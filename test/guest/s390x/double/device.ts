// A PCI function that exists only as bytes: configuration space, BARs as large as one likes, and a list of every access
// that reached it. It raises no interrupt, and does nothing by itself but to read memory where it is told to.
import { RegionIndex } from './wire.js';

export interface Access {
  readonly kind: 'read' | 'write';
  readonly region: number;
  readonly offset: bigint;
  readonly bytes: Buffer;
}

export interface FunctionOptions {
  readonly vendor: number;
  readonly device: number;
  /** Base class, subclass and programming interface, in 24 bits. */
  readonly classCode: number;
  /** Sizes in bytes of 64-bit memory BARs by their index; a 64-bit BAR takes two indexes. */
  readonly bars: Readonly<Record<number, bigint>>;
}

export interface Behaviour {
  /** Place in BAR 0 of a register of 8 bytes that holds a bus address. At each load of it the function reads memory there. */
  readonly readsMemoryAt?: number;
}

const configBytes = 256n;
const pageBytes = 4096;

/** QEMU refuses a zPCI function without MSI-X: one vector, with table and PBA in a BAR of their own. */
const msix = { capability: 0x40, bar: 4, barBytes: 8192n, pendingBits: 4096, vectors: 1 } as const;

export class PciFunction {
  readonly vectors = msix.vectors;
  readonly accesses: Access[] = [];
  resets = 0;
  readonly #memory = new Map<number, SparseBytes>();

  readonly #behaviour: Behaviour;

  constructor(options: FunctionOptions, behaviour: Behaviour = {}) {
    this.#behaviour = behaviour;
    const bars = { ...options.bars, [msix.bar]: msix.barBytes };
    for (const [index, size] of Object.entries(bars)) this.#memory.set(Number(index), new SparseBytes(size));
    const config = new SparseBytes(configBytes);
    config.write(0n, configSpace(options, Object.keys(bars).map(Number)));
    this.#memory.set(RegionIndex.config, config);
  }

  /** 0 for a region that the function does not have. */
  size(region: number): bigint {
    return this.#memory.get(region)?.size ?? 0n;
  }

  /** Null where the access goes past the end of its region. */
  read(region: number, offset: bigint, length: number): Buffer | null {
    if (offset + BigInt(length) > this.size(region)) return null;
    const bytes = this.peek(region, offset, length);
    this.accesses.push({ kind: 'read', region, offset, bytes });
    return bytes;
  }

  /** False where the access goes past the end of its region. */
  write(region: number, offset: bigint, data: Buffer): boolean {
    if (offset + BigInt(data.length) > this.size(region)) return false;
    const bytes = Buffer.from(data); // the message that brought it is reused
    this.#memory.get(region)?.write(offset, bytes);
    this.accesses.push({ kind: 'write', region, offset, bytes });
    return true;
  }

  /** The bus address that a load has the function read memory at; null for any other load. */
  memoryReadAt(region: number, offset: bigint): bigint | null {
    const isRegister = region === 0 && Number(offset) === this.#behaviour.readsMemoryAt;
    return isRegister ? this.peek(region, offset, 8).readBigUInt64BE(0) : null;
  }

  reset(): void {
    this.resets++;
  }

  /** What is stored there, for a test that looks; not an access. */
  peek(region: number, offset: bigint, length: number): Buffer {
    return this.#memory.get(region)?.read(offset, length) ?? Buffer.alloc(0);
  }
}

/** What was never written reads as zeros and takes no memory. */
class SparseBytes {
  readonly #pages = new Map<bigint, Buffer>();

  constructor(readonly size: bigint) {}

  read(offset: bigint, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (const { page, from, at, count } of pieces(offset, length)) {
      this.#pages.get(page)?.copy(bytes, at, from, from + count);
    }
    return bytes;
  }

  write(offset: bigint, data: Buffer): void {
    for (const { page, from, at, count } of pieces(offset, data.length)) {
      const bytes = this.#pages.get(page) ?? Buffer.alloc(pageBytes);
      data.copy(bytes, from, at, at + count);
      this.#pages.set(page, bytes);
    }
  }
}

/** A stretch of bytes, page by page: `from` within the page, `at` within the stretch. */
function* pieces(offset: bigint, length: number): Generator<{ page: bigint; from: number; at: number; count: number }> {
  for (let at = 0; at < length; ) {
    const position = offset + BigInt(at);
    const from = Number(position % BigInt(pageBytes));
    const count = Math.min(length - at, pageBytes - from);
    yield { page: position / BigInt(pageBytes), from, at, count };
    at += count;
  }
}

/** Header type 0 and one capability: PCI Local Bus Specification 3.0, 6.1, 6.2.5.1 and 6.8.2. */
function configSpace({ vendor, device, classCode }: FunctionOptions, bars: readonly number[]): Buffer {
  const config = Buffer.alloc(Number(configBytes));
  config.writeUInt16LE(vendor, 0x00);
  config.writeUInt16LE(device, 0x02);
  config.writeUInt16LE(0x0010, 0x06); // status: there is a list of capabilities
  config.writeUInt32LE(classCode << 8, 0x08);
  for (const bar of bars) config.writeUInt32LE(0x0c, 0x10 + bar * 4); // memory, 64 bits, prefetchable
  config.writeUInt8(msix.capability, 0x34);
  config.writeUInt8(0x11, msix.capability); // MSI-X, the last of the list
  config.writeUInt16LE(msix.vectors - 1, msix.capability + 2);
  config.writeUInt32LE(msix.bar, msix.capability + 4); // the table at offset 0
  config.writeUInt32LE(msix.pendingBits | msix.bar, msix.capability + 8);
  return config;
}
