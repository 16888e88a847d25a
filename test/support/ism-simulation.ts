// Two ends of a stream over memory that each can write and not read, on one thread, in virtual time, under an adversary that
// a seed decides: whose turn it is between any two operations, which move is seen half-way, when a signal comes and with
// which others, what fails, and who dies in the middle. The same seed is the same schedule.
import assert from 'node:assert/strict';
import type { End as RealEnd } from '../../src/ism/stream/end.js';
import { ringOffset } from '../../src/ism/stream/layout.js';
import { sequence } from './random.js';

type EndClass = typeof RealEnd;
type Random = (limit: number) => number;

/** What the adversary does in a schedule, besides delays. */
const troubles = ['none', 'none', 'none', 'failing move', 'death', 'silent death', 'abort'] as const;
type Trouble = (typeof troubles)[number];

export interface Outcome {
  readonly trouble: Trouble;
  readonly operations: number;
  readonly bytes: number;
  readonly rescued: number;
}

/** One may look much more often than the other: a wake-up that is lost is not always made up for by the same one. */
const heartbeats = [400, 2400] as const;
/** Virtual milliseconds within which all is over: pauses of the programs, and some heartbeats where somebody dies. */
const patience = 100_000;
/** The latest that a signal comes; less than what an end waits before it calls it lost. */
const latest = 8;
const mostOperations = 100_000;

class Side {
  readonly name: string;
  readonly ring: number;
  readonly memory: Uint8Array;
  readonly target: Uint8Array;
  heartbeat = 0;
  end!: RealEnd;
  other!: Side;
  alive = true;
  /** In the middle of an operation: nothing else runs here until it returns. */
  busy = false;
  awake = true;
  signalAt = Number.POSITIVE_INFINITY;
  /** The program: what it has to write and has written, what it has read, when it goes on. */
  toWrite = 0;
  written = 0;
  received = 0;
  finished = false;
  writesAt = 0;
  readsAt = 0;
  /** The move that fails, counted down; and the operation at which it dies or gives up. */
  failingMove = -1;
  endsAt = -1;

  constructor(name: string, ring: number) {
    this.name = name;
    this.ring = ring;
    this.memory = new Uint8Array(ringOffset + ring);
    this.target = new Uint8Array(ring);
  }
}

export class Simulation {
  readonly #random: Random;
  readonly #trouble: Trouble;
  readonly #sides: readonly [Side, Side];
  #now = 0;
  #operations = 0;

  constructor(seed: number, End: EndClass) {
    this.#random = sequence(seed);
    this.#trouble = troubles[this.#random(troubles.length)] as Trouble;
    this.#sides = [this.#side('a'), this.#side('b')];
    const [a, b] = this.#sides;
    [a.other, b.other] = [b, a];
    for (const side of this.#sides) side.end = new End(this.#linkOf(side), 0);
    const victim = this.#sides[this.#random(2)] as Side;
    if (this.#trouble === 'failing move') victim.failingMove = this.#random(60);
    else if (this.#trouble !== 'none') victim.endsAt = this.#random(120);
  }

  run(): Outcome {
    while (this.#isOn) {
      assert.ok(this.#now < patience, `not over after ${patience} virtual ms (${this.#trouble})`);
      assert.ok(this.#operations < mostOperations, `not over after ${mostOperations} operations (${this.#trouble})`);
      this.#advance();
    }
    return this.#checked();
  }

  get #isOn(): boolean {
    return this.#sides.some((side) => side.alive && !side.end.over);
  }

  #side(name: string): Side {
    const side = new Side(name, 256 << this.#random(3));
    side.heartbeat = heartbeats[this.#random(2)] as number;
    side.toWrite = this.#random(8) === 0 ? 0 : this.#random(side.ring * 4);
    return side;
  }

  #linkOf(side: Side): ConstructorParameters<EndClass>[0] {
    const epoch = (of: Side): number => (of.name === 'a' ? 7 : 9);
    return {
      move: (offset, bytes, signal) => this.#move(side, offset, bytes, signal),
      memory: side.memory,
      epoch: epoch(side),
      ring: side.ring,
      heartbeat: side.heartbeat,
      peer: { epoch: epoch(side.other), ring: side.other.ring, heartbeat: side.other.heartbeat },
    };
  }

  /** One operation of whoever can go on; where nobody can, time goes on to what comes next. */
  #advance(): void {
    for (const side of this.#sides) this.#wake(side);
    const ready = this.#sides.filter((side) => side.alive && side.awake && !side.end.over);
    if (ready.length > 0) {
      this.#act(ready[this.#random(ready.length)] as Side);
      this.#now += 0.01;
      return;
    }
    const next = Math.min(...this.#sides.map((side) => this.#nextOf(side)));
    assert.ok(next < Number.POSITIVE_INFINITY || !this.#isOn, 'both sleep for ever');
    this.#now = Math.max(next, this.#now + 0.01);
  }

  #nextOf(side: Side): number {
    if (!side.alive || side.end.over) return Number.POSITIVE_INFINITY;
    const program = [side.writesAt, side.readsAt].filter((time) => time > this.#now);
    return Math.min(side.signalAt, side.end.deadline, ...program);
  }

  #wake(side: Side): void {
    if (!side.alive || side.end.over) return;
    if (side.signalAt <= this.#now) {
      side.signalAt = Number.POSITIVE_INFINITY;
      side.end.signalled();
      side.awake = true;
    }
    if (side.end.deadline <= this.#now) {
      side.end.tick(this.#now);
      if (!side.end.holding) side.awake = true;
    }
    if (this.#program(side) !== null) side.awake = true;
  }

  /** One operation: the program's, or a step of its end. Sleeps when there is none. */
  #act(side: Side): void {
    this.#operations++;
    if (side.endsAt >= 0 && side.endsAt-- === 0 && this.#ends(side)) return;
    side.busy = true;
    const program = this.#program(side);
    if (program !== null && this.#random(2) === 0) program();
    else if (!side.end.step(this.#now) && program === null) side.awake = false;
    else if (program !== null) program();
    side.busy = false;
  }

  #ends(side: Side): boolean {
    if (this.#trouble === 'abort') {
      side.busy = true;
      side.end.abort('failed', this.#now);
      side.busy = false;
    } else this.#kill(side);
    return true;
  }

  #kill(side: Side): void {
    side.alive = false;
    const { other } = side;
    if (this.#trouble === 'silent death' || this.#random(2) === 0) return;
    other.end.die(Object.assign(new Error('the event of its death'), { code: 'dead' }) as never);
  }

  /** What the program can do now. */
  #program(side: Side): (() => void) | null {
    const { end } = side;
    if (end.over) return null;
    end.reading = side.readsAt <= this.#now;
    const reads = end.reading && end.available > 0;
    const writes = side.writesAt <= this.#now && !side.finished && end.queued === 0;
    if (reads && (!writes || this.#random(2) === 0)) return () => this.#read(side);
    return writes ? () => this.#write(side) : null;
  }

  #read(side: Side): void {
    const target = side.target.subarray(0, this.#size(side.ring));
    const count = side.end.read(target);
    const expected = written(side.other.name, side.received, count);
    if (expected.compare(target, 0, count) !== 0) assert.fail(`${side.name} read other bytes from ${side.received} on`);
    side.received += count;
    assert.ok(side.received <= side.other.written, 'a byte that was never written');
    if (this.#random(6) === 0) side.readsAt = this.#now + this.#random(40);
  }

  #write(side: Side): void {
    const length = Math.min(this.#size(side.other.ring * 2), side.toWrite - side.written);
    for (let left = length; left > 0; ) {
      const piece = Math.min(left, 1 + this.#random(length));
      side.end.offer(written(side.name, side.written, piece));
      side.written += piece;
      left -= piece;
    }
    if (side.written === side.toWrite) {
      side.finished = true;
      side.end.finish();
    } else if (this.#random(4) === 0) side.writesAt = this.#now + this.#random(this.#random(4) === 0 ? 1600 : 40);
  }

  /** Sizes of all magnitudes. */
  #size(most: number): number {
    return 1 + this.#random([8, 60, 200, most][this.#random(4)] as number);
  }

  #move(side: Side, offset: number, bytes: Uint8Array, signal: boolean): void {
    if (side.failingMove >= 0 && side.failingMove-- === 0) throw new Error('condition code 1');
    const { other } = side;
    const closed = other.end.over || (!other.alive && this.#trouble === 'death');
    if (closed) throw new Error('no such DMB');
    const cut = this.#random(2) === 0 ? 0 : 8 * this.#random((bytes.length >> 3) + 1);
    if (cut === 0) other.memory.set(bytes, offset);
    else this.#moveTorn(other, offset, bytes.slice(), cut);
    if (signal || this.#random(100) === 0) this.#raise(other);
    this.#meanwhile(other);
  }

  /** The other end sees the first part or the last part alone, for a while. */
  #moveTorn(side: Side, offset: number, bytes: Uint8Array, cut: number): void {
    const parts = [0, cut].map((start, index) => [start, index === 0 ? cut : bytes.length] as const);
    if (this.#random(2) === 0) parts.reverse();
    for (const [index, [start, end]] of parts.entries()) {
      side.memory.set(bytes.subarray(start, end), offset + start);
      if (index === 0) this.#meanwhile(side);
    }
  }

  /** What the other end does while a move of this one is on its way. */
  #meanwhile(side: Side): void {
    for (let count = this.#random(4); count > 0; count--) {
      if (side.busy || !side.alive || side.end.over) return;
      this.#wake(side);
      if (!side.awake) return;
      this.#act(side);
    }
  }

  /** Signals of one DMB that are on their way are one. */
  #raise(side: Side): void {
    if (side.signalAt === Number.POSITIVE_INFINITY) side.signalAt = this.#now + this.#random(latest * 100) / 100;
  }

  #checked(): Outcome {
    // Who dies between publishing and looking again, or cannot move, leaves the other to its slow timer.
    const isSound = this.#trouble === 'none' || this.#trouble === 'abort';
    const rescued = isSound ? this.#sides.reduce((sum, side) => sum + side.end.rescued, 0) : 0;
    for (const side of this.#sides) {
      const { error } = side.end;
      if (this.#trouble === 'none') assert.ifError(error);
      if (this.#trouble !== 'none' || !side.alive) continue;
      assert.equal(side.received, side.other.toWrite, `${side.name} has not all bytes`);
    }
    assert.equal(rescued, 0, 'wake-ups were rescued by the slow timer');
    const bytes = this.#sides.reduce((sum, side) => sum + side.received, 0);
    return { trouble: this.#trouble, operations: this.#operations, bytes, rescued };
  }
}

/** The bytes that stand from a position of the stream from `name` on; they repeat, but not at the size of any ring. */
function written(name: string, position: number, length: number): Buffer {
  const start = (position + (name === 'a' ? 0 : period >> 1)) % period;
  return pattern.subarray(start, start + length);
}

const period = 4093;
const pattern = Buffer.from(
  Array.from({ length: 2 * period }, (_, index) => Math.imul(index % period, 0x9e3779b1) >>> 24),
);
