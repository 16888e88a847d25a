// A host of an NVMe controller that does as it is told, right or wrong: each test says what lies in its memory and in the queues, and
// which doorbell is rung. What a good driver does is tested with the one of examples/nvme.ts.
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { patience } from './scale.js';

/** What of a region it uses, and the memory that the controller reaches. */
export interface Road {
  readonly bar: {
    load32(offset: number): number;
    load64(offset: number): bigint;
    store32(offset: number, value: number): void;
    store64(offset: number, value: bigint): void;
  };
  /** Mapped at `iova`. */
  readonly memory: Uint8Array;
  readonly iova: bigint;
}

export interface Entry {
  readonly opcode: number;
  readonly id?: number;
  readonly flags?: number;
  readonly namespace?: number;
  readonly first?: bigint;
  readonly second?: bigint;
  /** Dwords 10 to 15. */
  readonly words?: readonly number[];
}

export interface Completion {
  readonly id: number;
  readonly queue: number;
  readonly head: number;
  /** Status code type and status code: 0x105 is code 5 of type 1. */
  readonly status: number;
  readonly result: number;
}

interface Pair {
  readonly entries: number;
  readonly submission: number;
  readonly completion: number;
  tail: number;
  head: number;
  phase: number;
}

export const registers = { cc: 0x14, csts: 0x1c, aqa: 0x24, asq: 0x28, acq: 0x30 } as const;
export const enabled = 0x0046_0001;
const page = 4096;

export class NvmeHost {
  readonly bar: Road['bar'];
  readonly memory: Uint8Array;
  readonly iova: bigint;
  readonly #view: DataView;
  readonly #pairs = new Map<number, Pair>();
  #used = 0;
  #ids = 0;

  constructor({ bar, memory, iova }: Road) {
    this.bar = bar;
    this.memory = memory;
    this.iova = iova;
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  }

  /** All pages may be used anew. */
  forget(): void {
    this.#used = 0;
    this.#pairs.clear();
  }

  /** Position of pages in `memory` that nothing else uses. */
  pages(count: number): number {
    const at = this.#used;
    this.#used += count * page;
    assert.ok(this.#used <= this.memory.length);
    return at;
  }

  address(position: number): bigint {
    return this.iova + BigInt(position);
  }

  /** A page that names these addresses. */
  list(addresses: readonly bigint[], position = this.pages(1)): bigint {
    for (const [i, address] of addresses.entries()) this.#view.setBigUint64(position + 8 * i, address, true);
    return this.address(position);
  }

  get status(): number {
    return this.bar.load32(registers.csts);
  }

  async until(wanted: (status: number) => boolean): Promise<void> {
    const deadline = performance.now() + patience(10_000);
    while (!wanted(this.status)) {
      assert.ok(performance.now() < deadline, `CSTS is 0x${this.status.toString(16)}`);
      await turn();
    }
  }

  /** Enables the controller with an admin queue of `entries`. */
  async enable(entries = 32): Promise<void> {
    const pair = this.#pair(0, entries);
    this.bar.store32(registers.aqa, ((entries - 1) << 16) | (entries - 1));
    this.bar.store64(registers.asq, this.address(pair.submission));
    this.bar.store64(registers.acq, this.address(pair.completion));
    this.bar.store32(registers.cc, enabled);
    await this.until((status) => (status & 1) !== 0);
  }

  async disable(): Promise<void> {
    this.bar.store32(registers.cc, enabled & ~1);
    await this.until((status) => (status & 1) === 0);
  }

  /** Makes a pair of I/O queues, with interrupts by `vector` where one is given. */
  async create(id: number, entries: number, vector: number | null = null): Promise<void> {
    const { completion, submission } = this.#pair(id, entries);
    const size = id | ((entries - 1) << 16);
    const interrupts = vector === null ? 0 : 2 | (vector << 16);
    const made = [
      await this.run(0, { opcode: 5, first: this.address(completion), words: [size, 1 | interrupts] }),
      await this.run(0, { opcode: 1, first: this.address(submission), words: [size, 1 | (id << 16)] }),
    ];
    assert.deepEqual(
      made.map(({ status }) => status),
      [0, 0],
    );
  }

  /** Puts an entry into a queue, without a word to the controller. Answers the command's id. */
  put(queue: number, entry: Entry): number {
    const pair = this.#pairs.get(queue) as Pair;
    const at = pair.submission + pair.tail * 64;
    const id = entry.id ?? this.#ids++ & 0xffff;
    this.memory.fill(0, at, at + 64);
    this.#view.setUint32(at, (entry.opcode | ((entry.flags ?? 0) << 8) | (id << 16)) >>> 0, true);
    this.#view.setUint32(at + 4, entry.namespace ?? 0, true);
    this.#view.setBigUint64(at + 24, entry.first ?? 0n, true);
    this.#view.setBigUint64(at + 32, entry.second ?? 0n, true);
    for (const [i, word] of (entry.words ?? []).entries()) this.#view.setUint32(at + 40 + 4 * i, word >>> 0, true);
    pair.tail = (pair.tail + 1) % pair.entries;
    return id;
  }

  ring(queue: number, tail = (this.#pairs.get(queue) as Pair).tail): void {
    this.bar.store32(0x1000 + queue * 8, tail);
  }

  submit(queue: number, entry: Entry): number {
    const id = this.put(queue, entry);
    this.ring(queue);
    return id;
  }

  /** The next completion, if there is one; the controller is told that it was taken, unless `told` is false. */
  look(queue: number, told = true): Completion | null {
    const pair = this.#pairs.get(queue) as Pair;
    const at = pair.completion + pair.head * 16;
    const field = this.#view.getUint16(at + 14, true);
    if ((field & 1) !== pair.phase) return null;
    pair.head = (pair.head + 1) % pair.entries;
    if (pair.head === 0) pair.phase ^= 1;
    if (told) this.took(queue);
    return {
      id: this.#view.getUint16(at + 12, true),
      queue: this.#view.getUint16(at + 10, true),
      head: this.#view.getUint16(at + 8, true),
      status: (field >>> 1) & 0x7ff,
      result: this.#view.getUint32(at, true),
    };
  }

  took(queue: number, head = (this.#pairs.get(queue) as Pair).head): void {
    this.bar.store32(0x1004 + queue * 8, head);
  }

  async completion(queue: number, told = true): Promise<Completion> {
    const deadline = performance.now() + patience(10_000);
    for (;;) {
      const completion = this.look(queue, told);
      if (completion !== null) return completion;
      assert.ok(performance.now() < deadline, `no completion in queue ${queue}`);
      await turn();
    }
  }

  /** Submits a command, and answers its completion. */
  async run(queue: number, entry: Entry): Promise<Completion> {
    const id = this.submit(queue, entry);
    const completion = await this.completion(queue);
    assert.equal(completion.id, id);
    return completion;
  }

  /** Some turns of the event loop: what the controller has to say, it said. */
  async quiet(): Promise<void> {
    for (let i = 0; i < 20; i++) await turn();
  }

  #pair(id: number, entries: number): Pair {
    const pair = {
      entries,
      submission: this.pages(Math.ceil((entries * 64) / page)),
      completion: this.pages(Math.ceil((entries * 16) / page)),
      tail: 0,
      head: 0,
      phase: 1,
    };
    this.memory.fill(0, pair.completion, pair.completion + entries * 16);
    this.#pairs.set(id, pair);
    return pair;
  }
}
