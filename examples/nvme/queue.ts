// A submission queue and its completion queue. The host writes an entry, then rings the doorbell; the controller answers in the
// other queue, where each round through it has the other phase bit.
//
//   tail: where the host writes next        submission   [ . . c c c c . . ]   c: the controller has not taken it yet
//   head: where the host looks next         completion   [ n n . . . . o o ]   n: of this round, o: of the one before
import { setImmediate } from 'node:timers/promises';
import { allocBuffer, type DmaMapping, type IsmioError, type PciDevice, type RegionLike, type VfioVector } from 'ismio';
import { bytesOf, register, status } from './registers.js';

/** A command without what the queue fills in: its number, and where its data is. */
export interface Command {
  readonly opcode: number;
  readonly namespace?: number;
  /** Dwords 10 to 15, as far as the command has any. */
  readonly words?: readonly number[];
  /** Where its data is: whole pages from `offset` on, which begins at one. */
  readonly data?: { readonly mapping: DmaMapping; readonly offset: number; readonly length: number };
}

/** What the controller has against a command. */
export class NvmeError extends Error {
  override readonly name = 'NvmeError';
  /** Status code type and status code (4.6.1); null where the controller did not answer at all. */
  readonly status: { readonly type: number; readonly code: number } | null;

  constructor(message: string, status: NvmeError['status'] = null) {
    super(message);
    this.status = status;
  }
}

interface Waiting {
  readonly command: Command;
  /** performance.now() at which it is given up. */
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export interface QueueOptions {
  /** 0 is the admin queue. */
  readonly id: number;
  readonly entries: number;
  readonly doorbellStride: number;
  /** The vector that the controller signals; without one, the queue is polled. */
  readonly vector: VfioVector | null;
  /** How long a command may take, in milliseconds. */
  readonly timeout: number;
}

export class QueuePair {
  readonly id: number;
  readonly entries: number;
  /** What the controller is told of the queues: where they are. */
  readonly submission: DmaMapping;
  readonly completion: DmaMapping;
  readonly #bar: RegionLike;
  /** A page for each command: the list of its data's pages, where these are more than two. */
  readonly #lists: DmaMapping;
  readonly #doorbell: { readonly tail: number; readonly head: number };
  readonly #vector: VfioVector | null;
  readonly #timeout: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #free: number[];
  #tail = 0;
  #head = 0;
  #phase = 1;
  #running: Promise<void> = Promise.resolve();
  /** Those who wait for a command to end, so that theirs can begin. */
  readonly #turns: (() => void)[] = [];
  #dead: Error | null = null;

  constructor(device: PciDevice, bar: RegionLike, options: QueueOptions) {
    this.id = options.id;
    this.entries = options.entries;
    this.#bar = bar;
    this.#vector = options.vector;
    this.#timeout = options.timeout;
    this.submission = device.dmaMap(allocBuffer(this.entries * bytesOf.submission), { writable: false });
    this.completion = device.dmaMap(allocBuffer(this.entries * bytesOf.completion));
    this.#lists = device.dmaMap(allocBuffer(this.entries * bytesOf.page), { writable: false });
    const first = register.doorbells + 2 * this.id * options.doorbellStride;
    this.#doorbell = { tail: first, head: first + options.doorbellStride };
    // A full queue would look as an empty one, so one entry stays free (4.1.2).
    this.#free = Array.from({ length: this.entries - 1 }, (_, number) => number);
  }

  /** Resolves when the controller has done it. Waits for its turn where as many commands are in flight as the queue takes. */
  async submit(command: Command): Promise<void> {
    while (this.#free.length === 0 && this.#dead === null) {
      await new Promise<void>((resolve) => this.#turns.push(resolve));
    }
    if (this.#dead !== null) throw this.#dead;
    const number = this.#free.pop() as number;
    this.#write(command, number);
    this.#tail = (this.#tail + 1) % this.entries;
    // The entry is in memory before the controller is told to look at it.
    this.#bar.fence();
    this.#bar.store32(this.#doorbell.tail, this.#tail);
    const deadline = performance.now() + this.#timeout;
    const done = new Promise<void>((resolve, reject) => {
      this.#waiting.set(number, { command, deadline, resolve, reject });
    });
    if (this.#waiting.size === 1) this.#running = this.#running.then(() => this.#run());
    return done;
  }

  /** Takes completions as they come, for as long as any is waited for. */
  async #run(): Promise<void> {
    try {
      while (this.#waiting.size > 0) {
        if (this.#reap() > 0) continue;
        const deadlines = [...this.#waiting.values()].map(({ deadline }) => deadline);
        const left = Math.min(...deadlines) - performance.now();
        if (left <= 0) throw this.#lateness();
        await this.#idle(left);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Until there may be something to reap. */
  async #idle(milliseconds: number): Promise<void> {
    if (this.#vector === null) return setImmediate();
    try {
      await this.#vector.wait({ signal: AbortSignal.timeout(Math.ceil(milliseconds)) });
    } catch (error) {
      if ((error as IsmioError).code !== 'ERR_ISMIO_ABORTED') throw error;
    }
  }

  #reap(): number {
    const { buffer } = this.completion;
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    let reaped = 0;
    for (; ; reaped++) {
      const at = this.#head * bytesOf.completion;
      // Dword 3 (4.6): the command's number, then the phase bit and the status. The controller stores it last.
      if ((Atomics.load(buffer, at + 14) & 1) !== this.#phase) break;
      this.#settle(view.getUint16(at + 12, true), view.getUint16(at + 14, true) >>> 1);
      this.#head = (this.#head + 1) % this.entries;
      if (this.#head === 0) this.#phase ^= 1;
    }
    if (reaped > 0) this.#bar.store32(this.#doorbell.head, this.#head);
    return reaped;
  }

  #settle(number: number, field: number): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) throw new NvmeError(`the controller completed command ${number}, which is none`);
    this.#waiting.delete(number);
    this.#free.push(number);
    this.#turns.shift()?.();
    const told = { type: (field >>> 8) & 7, code: field & 0xff };
    if (told.type === 0 && told.code === 0) {
      waiting.resolve();
      return;
    }
    const what = `command 0x${waiting.command.opcode.toString(16)} on queue ${this.id}`;
    waiting.reject(new NvmeError(`${what} failed: status type ${told.type}, code 0x${told.code.toString(16)}`, told));
  }

  #lateness(): NvmeError {
    const word = this.#bar.load32(register.status);
    const fatal = (word & status.fatal) !== 0;
    const state = fatal ? 'it reports a fatal status (CSTS.CFS)' : `CSTS is 0x${word.toString(16)}`;
    return new NvmeError(`queue ${this.id}: no answer within ${this.#timeout} ms; ${state}`);
  }

  /** What is in flight may still be done some time, so the queue is of no more use until the controller was reset. */
  #fail(error: Error): void {
    this.#dead = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    for (const turn of this.#turns.splice(0)) turn();
  }

  /** A submission entry (4.2), all of it: nothing of the one before it stays. */
  #write({ opcode, namespace = 0, words = [], data }: Command, number: number): void {
    const { buffer } = this.submission;
    const at = this.#tail * bytesOf.submission;
    buffer.fill(0, at, at + bytesOf.submission);
    const view = new DataView(buffer.buffer, buffer.byteOffset + at, bytesOf.submission);
    view.setUint32(0, opcode | (number << 16), true);
    view.setUint32(4, namespace, true);
    if (data !== undefined) {
      const [first, second] = this.#pages(data, number);
      view.setBigUint64(24, first, true);
      view.setBigUint64(32, second, true);
    }
    for (const [i, word] of words.entries()) view.setUint32(40 + i * 4, word, true);
  }

  /** Physical region pages (4.3): the first page, and the second or a list of all the others. */
  #pages({ mapping, offset, length }: NonNullable<Command['data']>, number: number): [bigint, bigint] {
    const first = mapping.iova + BigInt(offset);
    const pages = Math.ceil(length / bytesOf.page);
    if (pages === 1) return [first, 0n];
    if (pages === 2) return [first, first + BigInt(bytesOf.page)];
    const { buffer, iova } = this.#lists;
    const at = number * bytesOf.page;
    const list = new DataView(buffer.buffer, buffer.byteOffset + at, bytesOf.page);
    for (let page = 1; page < pages; page++)
      list.setBigUint64((page - 1) * 8, first + BigInt(page * bytesOf.page), true);
    return [first, iova + BigInt(at)];
  }
}
