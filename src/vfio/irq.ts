// Interrupts: an eventfd for each vector, told as events and as an async iterable.
import { EventEmitter } from 'node:events';
import { native } from '../binding.js';
import { checkBetween } from '../check.js';
import { IsmioError, systemError } from '../errors.js';
import { checked } from './failure.js';
import type { VfioIrqInfo } from './info.js';
import { irqSet, kernel } from './kernel.js';

/** How often a vector was signalled since it was last told. */
export interface Interrupt {
  readonly vector: number;
  /** At least 1: signals that come faster than the event loop turns are counted together, and none is lost. */
  readonly count: number;
}

interface Signal {
  readonly signal: number;
  readonly eventfd: number;
}

/**
 * The interrupts of one kind of a device. While enabled, they keep the process running (as a listening socket does), until
 * `unref`.
 *
 * Emits 'interrupt' with an Interrupt. `for await (const interrupt of irq)` takes those that come while it waits and while
 * its body runs; what is not taken yet is counted together for each vector. The iteration ends at `disable`.
 */
export class VfioIrq extends EventEmitter<{ interrupt: [Interrupt] }> {
  readonly name: string;
  /** How many vectors there are. */
  readonly count: number;
  readonly info: VfioIrqInfo;
  readonly #device: () => number;
  readonly #bdf: string;
  #signals: Signal[] = [];
  #signalled = 0;
  #keepsAlive = true;
  readonly #waiting = new Set<Waiting>();

  /** @internal `device` gives the descriptor, or throws when the device is closed. */
  constructor(device: () => number, info: VfioIrqInfo, bdf: string) {
    super();
    this.name = info.name;
    this.count = info.count;
    this.info = info;
    this.#device = device;
    this.#bdf = bdf;
  }

  /** How many vectors are enabled. */
  get enabled(): number {
    return this.#signals.length;
  }

  /** Signals since the device was opened, of all vectors. */
  get signalled(): number {
    return this.#signalled;
  }

  /** Enables the first `vectors` vectors (default: all), each with an eventfd of its own. */
  enable(vectors: number = this.count): void {
    const wanted = checkBetween(vectors, 'vectors', 1, this.count);
    const device = this.#device();
    if (this.#signals.length > 0) this.disable();
    const signals: Signal[] = [];
    try {
      for (let vector = 0; vector < wanted; vector++) signals.push(this.#open(vector));
      const eventfds = Int32Array.from(signals, ({ eventfd }) => eventfd);
      const available = this.#set(device, irqSet.eventfd | irqSet.trigger, 0, wanted, eventfds);
      if (available > 0) throw this.#tooMany(wanted, available);
    } catch (error) {
      for (const { signal } of signals) native.signalClose(signal);
      throw error;
    }
    this.#signals = signals;
    if (!this.#keepsAlive) this.unref();
  }

  /** No event comes after it; iterations end. */
  disable(): void {
    if (this.#signals.length === 0) return;
    const signals = this.#signals;
    this.#signals = [];
    try {
      this.#set(this.#device(), irqSet.none | irqSet.trigger, 0, 0, null);
    } finally {
      for (const { signal } of signals) native.signalClose(signal);
      for (const waiting of this.#waiting) waiting.end();
    }
  }

  /** Holds back interrupts of a vector (where `info.maskable`): they come at `unmask`. */
  mask(vector = 0): void {
    this.#act(irqSet.mask, vector);
  }

  unmask(vector = 0): void {
    this.#act(irqSet.unmask, vector);
  }

  /** Signals a vector as the device would, through the kernel: for tests. */
  trigger(vector = 0): void {
    this.#act(irqSet.trigger, vector);
  }

  /** Interrupts, those enabled later too, no longer keep the process running. */
  unref(): this {
    return this.#keepAlive(false);
  }

  ref(): this {
    return this.#keepAlive(true);
  }

  #keepAlive(on: boolean): this {
    this.#keepsAlive = on;
    for (const { signal } of this.#signals) native.signalKeepAlive(signal, on);
    return this;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Interrupt> {
    const waiting = new Waiting(() => this.#waiting.delete(waiting));
    if (this.#signals.length === 0) waiting.end();
    else this.#waiting.add(waiting);
    return waiting;
  }

  #open(vector: number): Signal {
    const made = native.signalOpen((count) => this.#tell({ vector, count }));
    if (typeof made === 'object') return made;
    const cause = systemError(made, 'eventfd');
    const text = `${this.name} of ${this.#bdf}: no eventfd for vector ${vector}: ${cause.code}`;
    throw new IsmioError('ERR_ISMIO_SYSTEM', text, { vector, errno: cause.code }, cause);
  }

  #tell(interrupt: Interrupt): void {
    this.#signalled += interrupt.count;
    for (const waiting of this.#waiting) waiting.put(interrupt);
    this.emit('interrupt', interrupt);
  }

  #act(action: number, vector: number): void {
    checkBetween(vector, 'vector', 0, this.count - 1);
    this.#set(this.#device(), irqSet.none | action, vector, 1, null);
  }

  #set(device: number, flags: number, start: number, count: number, eventfds: Int32Array | null): number {
    const answer = kernel.setIrqs(device, flags, this.info.index, start, count, eventfds);
    return checked('VFIO_DEVICE_SET_IRQS', answer, `${this.name} of ${this.#bdf}`, { irq: this.name, start, count });
  }

  /** The kernel then has enabled none, and answers how many there are (Linux drivers/vfio/pci/vfio_pci_intrs.c). */
  #tooMany(vectors: number, available: number): IsmioError {
    const text = `${this.name} of ${this.#bdf}: of ${vectors} vectors the system can give only ${available}; enable(${available})`;
    return new IsmioError('ERR_ISMIO_VFIO', text, { irq: this.name, vectors, available });
  }
}

/** One iteration. It never holds more than one count for each vector. */
class Waiting implements AsyncIterableIterator<Interrupt> {
  readonly #counts = new Map<number, number>();
  readonly #takers: ((result: IteratorResult<Interrupt>) => void)[] = [];
  readonly #forget: () => void;
  #ended = false;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  put({ vector, count }: Interrupt): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) taker({ done: false, value: { vector, count } });
    else this.#counts.set(vector, (this.#counts.get(vector) ?? 0) + count);
  }

  end(): void {
    this.#ended = true;
    this.#forget();
    for (const taker of this.#takers.splice(0)) taker({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<Interrupt>> {
    for (const [vector, count] of this.#counts) {
      this.#counts.delete(vector);
      return Promise.resolve({ done: false, value: { vector, count } });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  return(): Promise<IteratorResult<Interrupt>> {
    this.end();
    this.#counts.clear();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
