// A server of vfio-user for tests, in a thread of its own: a small device that answers as it should, but for what a test has
// planned. No descriptors travel: Node.js has no way to give or take them.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** What becomes of the message that a part of a plan is for, in place of an answer. */
export type Deed =
  | { readonly do: 'silence' | 'hangUp' | 'garbage' }
  | { readonly do: 'error'; readonly errno: number }
  /** The answer, with other bytes in its payload, or another id. */
  | {
      readonly do: 'answer';
      readonly cut?: number;
      readonly add?: number;
      readonly id?: number;
      readonly twice?: boolean;
    }
  | { readonly do: 'reply'; readonly payload: readonly number[] }
  /** The client is asked for memory first; what it answers is written down. */
  | { readonly do: 'ask'; readonly write?: readonly number[]; readonly address: number; readonly count: number };

export interface Plan {
  /** What the version is answered with. */
  readonly version?: { readonly major: number; readonly minor: number; readonly text: string | null };
  /** For the messages of a command: what is done with each, in turn; those behind the last are answered. */
  readonly deeds?: Readonly<Record<number, readonly (Deed | null)[]>>;
  /** The client is asked for memory so long after it has read configuration space, in milliseconds. */
  readonly later?: { readonly milliseconds: number; readonly address: number; readonly write: readonly number[] };
  /** With this seed, answers are changed at random, bits, lengths, ids and errors. */
  readonly mutate?: number;
  /** Writes are answered when so many have come, all of them then. */
  readonly together?: number;
  /** The server ends so long after the first access to BAR 0. */
  readonly ends?: number;
}

/** A message as the server had it: the command, its flags, and what it was for. */
export interface Seen {
  readonly command: number;
  readonly flags: number;
  readonly payload: readonly number[];
}

export const commands = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  deviceInfo: 4,
  regionInfo: 5,
  irqInfo: 7,
  setIrqs: 8,
  regionRead: 9,
  regionWrite: 10,
  dmaRead: 11,
  dmaWrite: 12,
  reset: 13,
} as const;

export const barBytes = 8192;
const little = endianness() === 'LE';

/** Started, with the path of its socket; it ends with the test. */
export async function vfioUserServer(
  t: TestContext,
  plan: Plan = {},
): Promise<{ path: string; seen: () => Promise<Seen[]>; end: () => Promise<void> }> {
  const folder = mkdtempSync('/dev/shm/ismio-');
  const path = join(folder, 'socket');
  const worker = new Worker(new URL(import.meta.url), { workerData: { path, plan } });
  const end = async (): Promise<void> => void (await worker.terminate());
  t.after(async () => {
    await end();
    rmSync(folder, { recursive: true });
  });
  const told = <Value>() => new Promise<Value>((resolve) => worker.once('message', resolve));
  await told();
  const seen = () => {
    worker.postMessage('seen');
    return told<Seen[]>();
  };
  return { path, seen, end };
}

/** Numbers below a limit, the same for each seed (xorshift). */
function randomOf(seed: number): (limit: number) => number {
  let state = seed * 2654435761 + 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

class Device {
  readonly #socket: Socket;
  readonly #plan: Plan;
  readonly #seen: Seen[];
  readonly #counts = new Map<number, number>();
  readonly #bar = new Uint8Array(barBytes);
  readonly #config = new Uint8Array(256);
  readonly #random: ((limit: number) => number) | null;
  #held = Buffer.alloc(0);
  readonly #unanswered: (() => void)[] = [];

  constructor(socket: Socket, plan: Plan, seen: Seen[]) {
    this.#socket = socket;
    this.#plan = plan;
    this.#seen = seen;
    this.#random = plan.mutate === undefined ? null : randomOf(plan.mutate);
    this.#config.set([0x34, 0x12, 0xe8, 0x11, 0, 0, 0, 0, 1, 0, 0x80, 0x08]);
    socket.on('data', (data) => this.#take(data));
    socket.on('error', () => undefined); // the client may go in the middle of an answer
  }

  #take(data: Buffer): void {
    this.#held = Buffer.concat([this.#held, data]);
    while (this.#held.length >= 16) {
      const size = this.#word(this.#held, 4);
      if (this.#held.length < size) return;
      const message = this.#held.subarray(0, size);
      this.#held = this.#held.subarray(size);
      this.#handle(message);
    }
  }

  #handle(message: Buffer): void {
    const command = this.#half(message, 2);
    const flags = this.#word(message, 8);
    const payload = message.subarray(16);
    this.#seen.push({ command, flags, payload: [...payload] });
    if ((flags & 15) === 1) return; // the reply to what was asked for
    const count = this.#counts.get(command) ?? 0;
    this.#counts.set(command, count + 1);
    const deed = this.#plan.deeds?.[command]?.[count];
    const answer = this.#answer(command, payload);
    if (deed?.do === 'ask') {
      this.#ask(deed.address, deed.count, deed.write);
      // The answer comes behind what the client says to that.
      setTimeout(() => this.#reply(message, answer), 20);
    } else if (deed !== undefined && deed !== null) {
      this.#do(deed, message, answer);
    } else if (command === commands.regionWrite && this.#plan.together !== undefined) {
      this.#unanswered.push(() => this.#reply(message, answer));
      if (this.#unanswered.length === this.#plan.together) for (const reply of this.#unanswered.splice(0)) reply();
    } else if ((flags & 16) === 0) {
      if (this.#random === null) this.#reply(message, answer);
      else this.#mutated(this.#random, message, answer);
    }
  }

  #mutated(below: (limit: number) => number, message: Buffer, answer: Buffer | number): void {
    if (typeof answer === 'number' || below(16) > 0) {
      this.#reply(message, answer);
      return;
    }
    const changed = Buffer.from(answer);
    for (let left = below(4); left > 0 && changed.length > 0; left--) {
      const at = below(changed.length);
      changed[at] = below(2) === 0 ? below(256) : (changed[at] as number) ^ (1 << below(8));
    }
    const cut = below(4) === 0 ? below(changed.length + 1) : 0;
    const whole = Buffer.concat([changed.subarray(cut), Buffer.alloc(below(4) === 0 ? below(64) : 0, below(256))]);
    if (below(8) === 0) this.#reply(message, 1 + below(5000));
    else this.#reply(message, whole, below(24) === 0 ? below(3) : 0);
  }

  #do(deed: Deed, message: Buffer, answer: Buffer | number): void {
    if (deed.do === 'hangUp') this.#socket.destroy();
    if (deed.do === 'garbage') this.#socket.write(Buffer.alloc(64, 0xff));
    if (deed.do === 'error') this.#reply(message, deed.errno);
    if (deed.do === 'reply') this.#reply(message, Buffer.from(deed.payload));
    if (deed.do !== 'answer' || typeof answer === 'number') return;
    const { cut = 0, add = 0, id = 0, twice = false } = deed;
    const changed = Buffer.concat([answer.subarray(0, answer.length - cut), Buffer.alloc(add)]);
    this.#reply(message, changed, id);
    if (twice) this.#reply(message, changed, id);
  }

  #ask(address: number, count: number, write: readonly number[] | undefined): void {
    const payload = Buffer.alloc(16);
    this.#put64(payload, 0, address);
    this.#put64(payload, 8, count);
    const whole = Buffer.concat([payload, Buffer.from(write ?? [])]);
    this.#send(99, write === undefined ? commands.dmaRead : commands.dmaWrite, 0, 0, whole);
  }

  /** The payload of the reply, or an errno. */
  #answer(command: number, payload: Buffer): Buffer | number {
    switch (command) {
      case commands.version:
        return this.#version();
      case commands.deviceInfo:
        return this.#words(16, 3, 9, 5);
      case commands.regionInfo:
        return this.#regionInfo(this.#word(payload, 8));
      case commands.irqInfo:
        return this.#words(16, 1, this.#word(payload, 8), this.#word(payload, 8) === 2 ? 4 : 0);
      case commands.regionRead:
      case commands.regionWrite:
        return this.#access(command, payload);
      case commands.dmaMap:
      case commands.setIrqs:
      case commands.reset:
        return Buffer.alloc(0);
      case commands.dmaUnmap:
        return payload;
      default:
        return 38; // ENOSYS
    }
  }

  #version(): Buffer {
    const { major, minor, text } = this.#plan.version ?? { major: 0, minor: 1, text: '{}\0' };
    const version = Buffer.alloc(4);
    this.#put16(version, 0, major);
    this.#put16(version, 2, minor);
    return Buffer.concat([version, Buffer.from(text ?? '')]);
  }

  #regionInfo(index: number): Buffer {
    const sizes: Record<number, number> = { 0: barBytes, 7: this.#config.length };
    const info = this.#words(32, 3, index, 0, 0, 0, 0, 0);
    this.#put64(info, 16, sizes[index] ?? 0);
    return info;
  }

  #access(command: number, payload: Buffer): Buffer | number {
    const offset = this.#word(payload, little ? 0 : 4);
    const region = this.#word(payload, 8);
    const count = this.#word(payload, 12);
    const bytes = region === 0 ? this.#bar : this.#config;
    const { later, ends } = this.#plan;
    if (region === 7 && later !== undefined) {
      setTimeout(() => this.#ask(later.address, later.write.length, later.write), later.milliseconds);
    }
    if (region === 0 && ends !== undefined) setTimeout(() => process.exit(), ends);
    if (offset + count > bytes.length) return 22; // EINVAL
    if (command === commands.regionRead)
      return Buffer.concat([payload.subarray(0, 16), bytes.subarray(offset, offset + count)]);
    bytes.set(payload.subarray(16, 16 + count), offset);
    return payload.subarray(0, 16);
  }

  #reply(to: Buffer, answer: Buffer | number, other = 0): void {
    const id = (this.#half(to, 0) + other) & 0xffff;
    const command = this.#half(to, 2);
    if (typeof answer === 'number') this.#send(id, command, 1 | 32, answer, Buffer.alloc(0));
    else this.#send(id, command, 1, 0, answer);
  }

  #send(id: number, command: number, flags: number, errno: number, payload: Buffer): void {
    const header = this.#words(0, 16 + payload.length, flags, errno);
    this.#put16(header, 0, id);
    this.#put16(header, 2, command);
    this.#socket.write(Buffer.concat([header, payload]));
  }

  #words(...values: readonly number[]): Buffer {
    return Buffer.concat(
      values.map((value) => {
        const word = Buffer.alloc(4);
        if (little) word.writeUInt32LE(value);
        else word.writeUInt32BE(value);
        return word;
      }),
    );
  }
  #word(bytes: Buffer, at: number): number {
    return little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }
  #half(bytes: Buffer, at: number): number {
    return little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }
  #put16(bytes: Buffer, at: number, value: number): void {
    if (little) bytes.writeUInt16LE(value, at);
    else bytes.writeUInt16BE(value, at);
  }
  #put64(bytes: Buffer, at: number, value: number): void {
    if (little) bytes.writeBigUInt64LE(BigInt(value), at);
    else bytes.writeBigUInt64BE(BigInt(value), at);
  }
}

if (!isMainThread && parentPort !== null) {
  const { path, plan } = workerData as { path: string; plan: Plan };
  const seen: Seen[] = [];
  // Each client meets other changes.
  let clients = 0;
  const planFor = () => (plan.mutate === undefined ? plan : { ...plan, mutate: plan.mutate + clients++ });
  createServer((socket) => new Device(socket, planFor(), seen)).listen(path, () =>
    parentPort?.postMessage('listening'),
  );
  parentPort.on('message', () => parentPort?.postMessage(seen));
}
