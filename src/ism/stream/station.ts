// All streams of one function: who listens where, what is half open, and the one timer that they share.
import { clearTimeout, setTimeout } from 'node:timers';
import { hex, IsmioError } from '../../support/errors.js';
import type { StreamDriver, StreamEvent } from './driver.js';
import { writeHello } from './hello.js';
import { askedBy, helloOffset, version } from './layout.js';
import { dead, type Reason, reasons } from './reasons.js';
import type { Clock } from './session.js';
import type { Timed } from './timed.js';

/** Somebody who listens at a port. */
export interface Listening {
  /** A peer asks for a stream, and has this memory for it. @returns why it is refused, or null */
  asked(gid: bigint, token: bigint): Reason | null;
  close(): void;
}

/** What came to nothing, counted since the function's first stream. */
export interface StreamCounters {
  /** Events that asked again for what was already being opened, or is open. */
  repeated: number;
  /** Streams that were refused: nobody listened, too many in all or of one peer, another version. */
  refused: number;
  /** Hellos that could not be moved: whoever asked has gone, or named memory that is not for us. */
  unanswered: number;
  /** Half-open streams that came to nothing in time. */
  expired: number;
  /** Hellos that broke a rule or did not fit, and events that named memory which another stream moves into. */
  wrong: number;
}

/** Attempts that ask one peer at a time: its event queue has 15 entries, and what comes on top of them is lost. */
const mostAsking = 8;

const stations = new WeakMap<StreamDriver, Station>();

export class Station implements Clock {
  readonly driver: StreamDriver;
  readonly counters: StreamCounters = { repeated: 0, refused: 0, unanswered: 0, expired: 0, wrong: 0 };
  readonly #listening = new Map<number, Listening>();
  readonly #timed = new Set<Timed>();
  /** Streams of this end's listeners, by the memory that the peer named. */
  readonly #known = new Set<string>();
  /** Tokens of the memory that its streams move into. */
  readonly #targets = new Set<bigint>();
  /** Attempts to connect, by peer, in the order in which they ask. */
  readonly #asking = new Map<bigint, Set<() => void>>();
  #timer: NodeJS.Timeout | null = null;
  #next = Number.POSITIVE_INFINITY;

  static of(driver: StreamDriver): Station {
    let station = stations.get(driver);
    if (station === undefined) {
      station = new Station(driver);
      stations.set(driver, station);
    }
    return station;
  }

  private constructor(driver: StreamDriver) {
    this.driver = driver;
    driver.on('event', (event) => this.#told(event));
    driver.on('gone', (gid) => this.#gone(gid));
    driver.on('close', () => this.#closed());
  }

  now(): number {
    return performance.now();
  }

  /** @throws IsmioError ERR_ISMIO_IN_USE */
  listen(port: number, listening: Listening): void {
    if (this.#listening.has(port)) {
      throw new IsmioError('ERR_ISMIO_IN_USE', `somebody listens at port ${port} already`, { port });
    }
    this.#listening.set(port, listening);
  }

  unlisten(port: number): void {
    this.#listening.delete(port);
  }

  begin(timed: Timed): void {
    this.#timed.add(timed);
    this.hasten(timed.deadline);
  }

  ended(timed: Timed): void {
    this.#timed.delete(timed);
    if (this.#timed.size === 0) this.#arm(Number.POSITIVE_INFINITY);
  }

  hasten(deadline: number): void {
    if (deadline < this.#next) this.#arm(deadline);
  }

  /** The memory that a peer named is in use, so that what it sends again is known; until `forget`. */
  know(gid: bigint, token: bigint): () => void {
    const key = `${gid} ${token}`;
    this.#known.add(key);
    return () => this.#known.delete(key);
  }

  /** A stream of this function moves into the memory of this token, until `forget`. Null where another one does. */
  claim(token: bigint): (() => void) | null {
    if (this.#targets.has(token)) return null;
    this.#targets.add(token);
    return () => this.#targets.delete(token);
  }

  /** Asks the peer, unless so many others are asking it that this one has to wait for its turn. */
  ask(gid: bigint, asker: () => void): void {
    const askers = this.#asking.get(gid) ?? new Set();
    this.#asking.set(gid, askers.add(asker));
    if (Array.from(askers).indexOf(asker) < mostAsking) asker();
  }

  /** It asks no more: the turn is the next one's. */
  answered(gid: bigint, asker: () => void): void {
    const askers = this.#asking.get(gid);
    if (askers?.delete(asker) !== true) return;
    if (askers.size === 0) this.#asking.delete(gid);
    else Array.from(askers)[mostAsking - 1]?.();
  }

  /** Tells a peer why there is no stream. It may have gone, which is counted. */
  refuse(token: bigint, port: number, reason: Reason): void {
    this.counters.refused++;
    this.moveHello(token, writeHello({ port, reason: reasons[reason] }));
  }

  /** @returns the failure, if the hello cannot be moved */
  moveHello(token: bigint, hello: Uint8Array): Error | null {
    try {
      this.driver.move(token, helloOffset, hello, { signal: 0 });
      return null;
    } catch (thrown) {
      this.counters.unanswered++;
      return thrown as Error;
    }
  }

  #told({ type, code, token: gid, info: token }: StreamEvent): void {
    const asked = type === 'software' ? askedBy(code) : null;
    if (asked === null) return;
    if (this.#known.has(`${gid} ${token}`)) {
      this.counters.repeated++;
      return;
    }
    const reason = asked.version === version ? this.#asked(asked.port, gid, token) : 'version';
    if (reason !== null) this.refuse(token, asked.port, reason);
  }

  #asked(port: number, gid: bigint, token: bigint): Reason | null {
    const listening = this.#listening.get(port);
    return listening === undefined ? 'noListener' : listening.asked(gid, token);
  }

  #gone(gid: bigint): void {
    const error = dead(`function ${hex(gid)} has gone`);
    each(
      [...this.#timed].filter((timed) => timed.gid === gid),
      (timed) => timed.die(error),
    );
  }

  #closed(): void {
    const error = new IsmioError('ERR_ISMIO_CLOSED', 'the driver of the function was closed');
    each([...this.#timed], (timed) => timed.die(error));
    each([...this.#listening.values()], (listening) => listening.close());
  }

  #arm(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#next = at;
    const isNone = at === Number.POSITIVE_INFINITY;
    this.#timer = isNone ? null : setTimeout(() => this.#tick(), Math.max(1, at - this.now()));
  }

  #tick(): void {
    const now = this.now();
    try {
      each(
        [...this.#timed].filter(({ deadline }) => deadline <= now),
        (timed) => timed.tick(now),
      );
    } finally {
      this.#arm(Math.min(Number.POSITIVE_INFINITY, ...Array.from(this.#timed, ({ deadline }) => deadline)));
    }
  }
}

/** What one throws is no reason to leave out the others: it is thrown behind them. */
function each<Item>(items: readonly Item[], act: (item: Item) => void): void {
  const errors: unknown[] = [];
  for (const item of items) {
    try {
      act(item);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
