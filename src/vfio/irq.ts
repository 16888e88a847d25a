// The interrupts of one kind of a device: an eventfd for each vector, given to the kernel and taken back.
import { native } from '../addon/binding.js';
import type { SignalHandle } from '../addon/handles.js';
import { checkBetween } from '../support/check.js';
import { IsmioError, systemError } from '../support/errors.js';
import { runtime } from '../support/runtime.js';
import type { DeviceCalls } from './access.js';
import { checked } from './failure.js';
import type { VfioIrqInfo } from './info.js';
import { type Interrupt, Interrupts, VfioVector } from './interrupts.js';
import { irqSet } from './kernel.js';

/** The kinds of interrupts that VFIO has for a PCI function. */
export type IrqName = 'intx' | 'msi' | 'msix' | 'err' | 'req';

interface Signal {
  readonly signal: SignalHandle;
  readonly eventfd: number;
}

/** In the place of an eventfd: the vector is to have none. */
const noEventfd = -1;

/**
 * The interrupts of one kind of a device. While enabled, they keep the process running (as a listening socket does), until
 * `unref`.
 */
export class VfioIrq extends Interrupts {
  /** 'intx', 'msi', 'msix', 'err' or 'req'. */
  readonly name: string;
  /** How many vectors there are. */
  readonly count: number;
  /** What the kernel says of this kind of interrupts. */
  readonly info: VfioIrqInfo;
  protected readonly title: string;
  readonly #calls: () => DeviceCalls;
  readonly #vectors = new Map<number, VfioVector>();
  /** Those of the vectors that are enabled: from the first on, without a gap. */
  #signals: readonly Signal[] = [];
  /** How many vectors the kernel has set up, whether they have an eventfd now or not. */
  #setUp = 0;
  #keepsAlive = true;

  /** @internal `calls` gives whom to ask, or throws when the device is closed. */
  constructor(calls: () => DeviceCalls, info: VfioIrqInfo, bdf: string) {
    super();
    this.name = info.name;
    this.count = info.count;
    this.info = info;
    this.title = `${info.name} of ${bdf}`;
    this.#calls = calls;
  }

  /** How many vectors are enabled: the first ones. */
  get enabled(): number {
    return this.#signals.length;
  }

  protected get live(): boolean {
    return this.enabled > 0;
  }

  /** The interrupts of one vector by itself, enabled or not. The same object each time. */
  vector(vector: number): VfioVector {
    const number = checkBetween(vector, 'vector', 0, this.count - 1);
    const known = this.#vectors.get(number);
    if (known !== undefined) return known;
    const made = new VfioVector(
      number,
      `vector ${number} of ${this.title}`,
      () => number < this.enabled,
      (milliseconds) => this.#await(number, milliseconds),
    );
    this.#vectors.set(number, made);
    return made;
  }

  /**
   * Enables the first `vectors` vectors (default: all), each with an eventfd of its own. Those that are enabled already stay as
   * they are: what they have been signalled is told. Vectors behind them, when fewer are asked for, are disabled.
   *
   * Where the kernel cannot add vectors to those that are enabled (`info.resizable` is false), it is made to enable all of them
   * anew. What the device raises in the moment between is lost, so each vector that was enabled before is signalled once
   * afterwards: a driver then looks at what the device has done.
   * @throws IsmioError ERR_ISMIO_VFIO when the kernel refuses, or has fewer to give (`available`): what was enabled stays so
   */
  enable(vectors: number = this.count): void {
    const wanted = checkBetween(vectors, 'vectors', 1, this.count);
    const calls = this.#calls();
    if (wanted > this.enabled) this.#add(calls, wanted);
    else if (wanted < this.enabled) this.#drop(calls, wanted);
  }

  /**
   * Disables all vectors: no event comes after it, and iterations end.
   * @throws IsmioError ERR_ISMIO_VFIO when the kernel refuses: they are enabled still
   */
  disable(): void {
    if (this.enabled === 0) return;
    this.#disarm(this.#calls());
    this.#keep([]);
  }

  /** @internal Disables them, and lets go of their eventfds whatever the kernel says to that. */
  end(): void {
    try {
      this.disable();
    } finally {
      this.#keep([]);
    }
  }

  /** @internal The device is lost: nobody signals them any more. What came before that is told first. */
  lose(): void {
    try {
      for (let vector = 0; runtime === 'node' && vector < this.enabled; vector++) this.#await(vector, 0);
    } catch (error) {
      process.nextTick(() => {
        throw error; // of a listener: no reason to tell nobody else of the loss
      });
    }
    this.#keep([]);
  }

  /** Holds back interrupts of a vector (where `info.maskable`): they come at `unmask`. */
  mask(vector = 0): void {
    this.#act(irqSet.mask, vector);
  }

  /** Lets interrupts of a vector through again; what came while it was masked is told. */
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

  /** Interrupts keep the process running again, as they do before `unref`. */
  ref(): this {
    return this.#keepAlive(true);
  }

  #keepAlive(on: boolean): this {
    this.#keepsAlive = on;
    for (const { signal } of this.#signals) native.signalKeepAlive(signal, on);
    return this;
  }

  /** More vectors, behind those there are. */
  #add(calls: DeviceCalls, wanted: number): void {
    const had = this.#signals;
    const added: Signal[] = [];
    try {
      for (let vector = had.length; vector < wanted; vector++) added.push(this.#open(vector));
      if (had.length === 0 || this.info.resizable || wanted <= this.#setUp) this.#arm(calls, had.length, added);
      else this.#armAnew(calls, had, added);
    } catch (error) {
      for (const { signal } of added) native.signalClose(signal);
      throw error;
    }
    this.#signals = [...had, ...added];
    if (!this.#keepsAlive) this.unref();
  }

  /** Fewer vectors: those behind them have no eventfd any more. */
  #drop(calls: DeviceCalls, wanted: number): void {
    const none = Array<number>(this.enabled - wanted).fill(noEventfd);
    this.#setEventfds(calls, wanted, none);
    this.#keep(this.#signals.slice(0, wanted));
  }

  /** Those that are enabled from now on; the others of those that were are let go of. */
  #keep(kept: readonly Signal[]): void {
    const dropped = this.#signals.slice(kept.length);
    this.#signals = kept;
    for (const { signal } of dropped) native.signalClose(signal);
    if (kept.length === 0) this.endIterations();
    for (const [number, vector] of this.#vectors) if (number >= kept.length) vector.endIterations();
  }

  /** The kernel gives eventfds to vectors, from `start` on. */
  #arm(calls: DeviceCalls, start: number, signals: readonly Signal[]): void {
    const wanted = start + signals.length;
    const available = this.#setEventfds(
      calls,
      start,
      signals.map(({ eventfd }) => eventfd),
    );
    if (available > 0) throw this.#tooMany(wanted, available);
    this.#setUp = Math.max(this.#setUp, wanted);
  }

  /** All of them at once. Eventfds that were armed keep what they count, and are signalled in place of what was missed. */
  #armAnew(calls: DeviceCalls, had: readonly Signal[], added: readonly Signal[]): void {
    this.#disarm(calls);
    try {
      this.#arm(calls, 0, [...had, ...added]);
    } catch (error) {
      this.#restore(calls, had, error);
      throw error;
    }
    this.#signalAll(calls, had.length);
  }

  #restore(calls: DeviceCalls, had: readonly Signal[], refusal: unknown): void {
    try {
      this.#arm(calls, 0, had);
    } catch (error) {
      this.#keep([]);
      const text = `${this.title}: none is enabled any more: ${(error as Error).message}`;
      throw new IsmioError('ERR_ISMIO_VFIO', text, { irq: this.name }, new AggregateError([refusal, error], text));
    }
    this.#signalAll(calls, had.length);
  }

  #signalAll(calls: DeviceCalls, count: number): void {
    this.#set(calls, irqSet.none | irqSet.trigger, 0, count, null);
  }

  #disarm(calls: DeviceCalls): void {
    this.#set(calls, irqSet.none | irqSet.trigger, 0, 0, null);
    this.#setUp = 0;
  }

  #open(vector: number): Signal {
    const own = this.vector(vector);
    const made = native.signalOpen((count) => this.#signalled(own, { vector, count }), runtime !== 'node');
    if (typeof made === 'object') return made;
    const cause = systemError(made, 'eventfd');
    const text = `${this.title}: no eventfd for vector ${vector}: ${cause.code}`;
    throw new IsmioError('ERR_ISMIO_SYSTEM', text, { vector, errno: cause.code }, cause);
  }

  #await(vector: number, milliseconds: number): Interrupt | null {
    const own = this.vector(vector);
    const signal = this.#signals[vector]?.signal;
    if (signal === undefined) throw own.notEnabled();
    if (runtime !== 'node') {
      const text = `${this.title}: on ${runtime} a thread of the addon waits for interrupts; use wait()`;
      throw new IsmioError('ERR_ISMIO_RUNTIME', text, { vector });
    }
    const count = native.signalWait(signal, milliseconds);
    if (count < 0) {
      const cause = systemError(-count, 'ppoll');
      const text = `${this.title}: the wait for vector ${vector} failed: ${cause.code}`;
      throw new IsmioError('ERR_ISMIO_SYSTEM', text, { vector, errno: cause.code }, cause);
    }
    if (count === 0) return null;
    const interrupt = { vector, count };
    this.#signalled(own, interrupt);
    return interrupt;
  }

  /** A handler of all vectors may disable the one it was told of, which then is told no more. */
  #signalled(vector: VfioVector, interrupt: Interrupt): void {
    this.tell(interrupt);
    if (vector.enabled) vector.tell(interrupt);
  }

  #act(action: number, vector: number): void {
    checkBetween(vector, 'vector', 0, this.count - 1);
    this.#set(this.#calls(), irqSet.none | action, vector, 1, null);
  }

  #setEventfds(calls: DeviceCalls, start: number, eventfds: readonly number[]): number {
    return this.#set(calls, irqSet.eventfd | irqSet.trigger, start, eventfds.length, Int32Array.from(eventfds));
  }

  #set(calls: DeviceCalls, flags: number, start: number, count: number, eventfds: Int32Array | null): number {
    const answer = calls.setIrqs(flags, this.info.index, start, count, eventfds);
    return checked('VFIO_DEVICE_SET_IRQS', answer, this.title, { irq: this.name, start, count });
  }

  /** The kernel then has enabled none, and answers how many there are (Linux drivers/vfio/pci/vfio_pci_intrs.c). */
  #tooMany(vectors: number, available: number): IsmioError {
    const text = `${this.title}: of ${vectors} vectors the system can give only ${available}; enable(${available})`;
    return new IsmioError('ERR_ISMIO_VFIO', text, { irq: this.name, vectors, available });
  }
}
