// The way of replies to the socket. They are made in slabs, so that what a disk reads lies where it is sent from. Replies that lie
// one behind the other go in one write, those of a turn together.
//
//   slab   | sent | sent | run: reply reply reply | being made | free ..     |
//                                                              ^ used
import type { Socket } from 'node:net';
import { type Slab, Slabs } from './slabs.js';

const slabBytes = 2 ** 20;

/** Where a reply is made. */
export class Room {
  readonly slab: Slab;
  readonly start: number;

  constructor(slab: Slab, start: number) {
    this.slab = slab;
    this.start = start;
  }

  get bytes(): Buffer {
    return this.slab.bytes;
  }
}

interface Run {
  /** Null of memory that is somebody else's. */
  readonly slab: Slab | null;
  readonly bytes: Uint8Array;
  readonly start: number;
  end: number;
  rooms: number;
  requests: number;
  cost: number;
}

/** Of one connection. */
export class Outlet {
  readonly #socket: Socket;
  readonly #sent: (requests: number, cost: number) => void;
  readonly #slabs = new Slabs(slabBytes);
  #runs: Run[] = [];

  /** @param sent is told what has gone to the kernel: how many requests, and what they were counted with */
  constructor(socket: Socket, sent: (requests: number, cost: number) => void) {
    this.#socket = socket;
    this.#sent = sent;
  }

  /** Room for a reply of at most so many bytes; it is sent, and thereby given back. */
  room(length: number): Room {
    const slab = this.#slabs.having(length);
    const start = slab.used;
    slab.used += length;
    slab.live++;
    return new Room(slab, start);
  }

  /** Queues the first bytes of the room; `cost` is what its request was counted with. */
  send({ slab, start }: Room, length: number, cost: number): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.slab === slab && last.end === start) {
      last.end += length;
      last.rooms++;
      last.requests++;
      last.cost += cost;
    } else this.#runs.push({ slab, bytes: slab.bytes, start, end: start + length, rooms: 1, requests: 1, cost });
  }

  /** Queues the first bytes of the room, and behind them memory that is not of a slab. */
  sendWith({ slab, start }: Room, length: number, pieces: readonly Uint8Array[], cost: number): void {
    this.#runs.push({ slab, bytes: slab.bytes, start, end: start + length, rooms: 1, requests: 0, cost: 0 });
    const common = { slab: null, start: 0, rooms: 0, requests: 0, cost: 0 };
    for (const bytes of pieces) this.#runs.push({ ...common, bytes, end: bytes.length });
    const last = this.#runs.at(-1) as Run;
    last.requests = 1;
    last.cost = cost;
  }

  /** Hands what is queued to the socket. */
  flush(): void {
    const runs = this.#runs;
    if (runs.length === 0) return;
    this.#runs = [];
    if (runs.length > 1) this.#socket.cork();
    for (const run of runs) {
      const { bytes, start, end } = run;
      this.#socket.write(bytes.subarray(start, end), () => this.#gone(run));
    }
    if (runs.length > 1) this.#socket.uncork();
  }

  #gone({ slab, rooms, requests, cost }: Run): void {
    if (slab !== null) this.#slabs.giveBack(slab, rooms);
    if (requests > 0) this.#sent(requests, cost);
  }
}
