// VFIO_DEVICE_SET_IRQS of the kernel that stands in for Linux, with real eventfds behind it.
import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { type IrqDescription, irqFlags } from './kernel-structs.js';

const { EINVAL, ENOSPC, ENOTTY } = constants.errno;

/** What a call does, by its flags. Source: Linux include/uapi/linux/vfio.h. */
const act = { mask: 8, trigger: 32 } as const;

export class StandInInterrupts {
  /** Eventfds of the vectors that are set up, by index of their kind; -1 for a vector that has none. */
  readonly #enabled = new Map<number, Int32Array>();
  /** Interrupts of masked vectors that wait for the end of that. */
  readonly #held = new Map<string, number>();

  /** What the device does. */
  raise(index: number, vector: number, times: number): void {
    const key = `${index}:${vector}`;
    const held = this.#held.get(key);
    if (held !== undefined) this.#held.set(key, held + times);
    else signal(this.#enabled.get(index)?.[vector] ?? -1, times);
  }

  /** Answers as the ioctl does: -errno, or 0, or how many vectors there are where those are too few. */
  set(
    irqs: readonly IrqDescription[],
    flags: number,
    index: number,
    start: number,
    count: number,
    eventfds: Int32Array | null,
  ): number {
    const irq = irqs.find((irq) => irq.index === index);
    if (irq === undefined || start + count > irq.count) return -EINVAL;
    if (eventfds !== null) return this.#enable(irq, start, eventfds);
    if (count === 0) return this.#enabled.delete(index) ? 0 : -EINVAL;
    const eventfd = this.#enabled.get(index)?.[start];
    if (eventfd === undefined) return -EINVAL;
    if ((flags & act.trigger) !== 0) for (let i = 0; i < count; i++) this.raise(index, start + i, 1);
    else if (((irq.flags ?? 0) & irqFlags.maskable) === 0) return -ENOTTY;
    else this.#mask(`${index}:${start}`, (flags & act.mask) !== 0, eventfd);
    return 0;
  }

  /** Vectors that are set up already get other eventfds; further ones are set up where that can be done later. */
  #enable({ index, count, flags = 0, available = count }: IrqDescription, start: number, given: Int32Array): number {
    const enabled = this.#enabled.get(index);
    const wanted = start + given.length;
    if (enabled === undefined && wanted > available) return available;
    if (enabled !== undefined && wanted > enabled.length) {
      if ((flags & irqFlags.noResize) !== 0) return -EINVAL;
      if (wanted > available) return -ENOSPC;
    }
    const eventfds = new Int32Array(Math.max(wanted, enabled?.length ?? 0)).fill(-1);
    eventfds.set(enabled ?? []);
    eventfds.set(given, start);
    this.#enabled.set(index, eventfds);
    return 0;
  }

  #mask(key: string, on: boolean, eventfd: number): void {
    const held = this.#held.get(key) ?? 0;
    if (on) this.#held.set(key, held);
    else if (this.#held.delete(key) && held > 0) signal(eventfd, held);
  }
}

/** Adds to an eventfd's count. A vector without one has nobody to tell. */
function signal(eventfd: number, times: number): void {
  if (eventfd < 0) return;
  write(eventfd, new Uint8Array(BigUint64Array.of(BigInt(times)).buffer));
}

type Write = (descriptor: number, bytes: Uint8Array) => void;

/** Deno's node:fs knows only the descriptors that it opened itself. */
interface DenoLibrary {
  dlopen(path: string, symbols: object): { symbols: { write(...args: unknown[]): bigint } };
}

function writeOf(deno: DenoLibrary | undefined): Write {
  if (deno === undefined) return writeSync;
  const { symbols } = deno.dlopen('libc.so.6', { write: { parameters: ['i32', 'buffer', 'usize'], result: 'isize' } });
  return (descriptor, bytes) => symbols.write(descriptor, bytes, BigInt(bytes.length));
}

const write = writeOf((globalThis as { Deno?: DenoLibrary }).Deno);
