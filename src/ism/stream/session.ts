// An end with its memory and its turns in the event loop. A signal is looked at when it comes. What is written in one tick
// goes out behind it, in one burst. That this end sleeps is said at the end of the turn: an answer that was written
// meanwhile has said it by then, in the same move.
import { setImmediate } from 'node:timers';
import { copy } from '../../access/memory.js';
import { native } from '../../addon/binding.js';
import type { IsmioError } from '../../support/errors.js';
import { Patience } from '../../support/patience.js';
import { colour, type StreamDmb, type StreamDriver, type StreamWay } from './driver.js';
import { End } from './end.js';
import type { Hello } from './hello.js';
import type { Reason } from './reasons.js';
import type { Timed } from './timed.js';

/** Who has the stream. */
export interface Owner {
  /** Something may have come. @returns whether there is more than was taken in this turn */
  pull(): boolean;
  /** Everything that was offered was placed in the peer's memory. */
  placed(): void;
  /** Both directions have ended, or `error` ended them. The memory is given back. */
  over(error: Error | null): void;
}

/** What keeps the time of all sessions. */
export interface Clock {
  now(): number;
  /** The session's deadline may be earlier than it was. */
  hasten(deadline: number): void;
  ended(session: Timed): void;
}

export interface SessionSetup {
  readonly driver: StreamDriver;
  readonly clock: Clock;
  readonly dmb: StreamDmb;
  readonly gid: bigint;
  readonly own: Hello;
  readonly peer: Hello;
  /** The memory was given back. */
  readonly closed?: () => void;
}

export class Session implements Timed {
  readonly end: End;
  readonly gid: bigint;
  readonly #clock: Clock;
  readonly #dmb: StreamDmb;
  readonly #closed: (() => void) | undefined;
  readonly #way: StreamWay;
  readonly #patience = new Patience();
  #owner: Owner | null = null;
  #isFlushing = false;
  #isServing = false;
  #isClosed = false;

  constructor({ driver, clock, dmb, gid, own, peer, closed }: SessionSetup) {
    this.#closed = closed;
    this.gid = gid;
    this.#clock = clock;
    this.#dmb = dmb;
    const way = wayTo(driver, peer.token);
    this.#way = way;
    this.end = new End(
      {
        move: (offset, bytes, signal) => way.move(offset, bytes, signal ? colour : {}),
        memory: dmb.memory,
        copy,
        epoch: own.epoch,
        ring: own.ring,
        heartbeat: own.heartbeat,
        peer,
      },
      clock.now(),
    );
  }

  own(owner: Owner): void {
    this.#owner = owner;
    this.serveLater();
  }

  /** The memory's signal. */
  signalled(): void {
    if (this.#isClosed) return;
    this.end.signalled();
    this.serveLater(); // whatever the owner's listeners throw meanwhile
    this.end.step(this.#clock.now());
    this.#serve();
  }

  get deadline(): number {
    return this.end.deadline;
  }

  tick(now: number): void {
    if (this.#isClosed) return;
    if (this.end.holding) this.#rescue();
    else {
      this.end.tick(now);
      if (!this.end.holding) this.#flush();
    }
  }

  /** Timers come first in a turn of the event loop: a signal that waits in it is heard before it is called lost. */
  #rescue(): void {
    setImmediate(() => {
      if (this.#isClosed || !this.end.holding) return;
      this.end.tick(this.#clock.now());
      if (!this.end.holding) this.#flush();
    });
  }

  /** What was offered, or is to be said, goes out behind this tick. */
  flushSoon(): void {
    if (this.#isFlushing || this.#isClosed) return;
    this.#isFlushing = true;
    process.nextTick(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  /** Gives it up; nothing of it is sent or taken after this. */
  abort(reason: Reason, error: IsmioError | null = null): void {
    if (this.#isClosed) return;
    this.end.abort(reason, this.#clock.now(), error);
    this.#closeIfOver();
  }

  /** The peer is known to be dead. */
  die(error: IsmioError): void {
    if (this.#isClosed) return;
    this.end.die(error);
    this.#closeIfOver();
  }

  /** Takes what came, and says at the end of the turn that it was taken. */
  serveLater(): void {
    if (this.#isServing || this.#isClosed) return;
    this.#isServing = true;
    setImmediate(() => {
      this.#isServing = false;
      this.#flush();
    });
  }

  #serve(): void {
    if (this.#closeIfOver()) return;
    this.#owner?.pull();
    if (this.end.queued > 0) this.flushSoon();
    this.serveLater();
  }

  #flush(): void {
    if (this.#isClosed) return;
    const { end } = this;
    const now = this.#clock.now();
    end.patient = this.#patience.holds(end.heard, now);
    const isMore = end.flush(now);
    if (this.#closeIfOver()) return;
    if (end.queued === 0) this.#owner?.placed();
    const isLeft = this.#owner?.pull() ?? false;
    if (this.#closeIfOver()) return;
    if (end.patient && end.waits) this.#lookAgain();
    if (isMore || isLeft || end.isDue) this.serveLater();
    this.#clock.hasten(this.end.deadline);
  }

  /** The peer may wait for this very CPU. */
  #lookAgain(): void {
    native.yieldProcessor();
    this.end.signalled();
  }

  #closeIfOver(): boolean {
    if (this.#isClosed || !this.end.over) return this.#isClosed;
    this.#isClosed = true;
    this.#clock.ended(this);
    let error: Error | null = this.end.error;
    try {
      this.#dmb.unregister();
    } catch (thrown) {
      error ??= thrown as Error;
    }
    this.#way.close();
    this.#closed?.();
    if (error === null) {
      // Both ends have all of it, and the owner may not have seen the last of that.
      this.#owner?.placed();
      this.#owner?.pull();
    }
    this.#owner?.over(error);
    return true;
  }
}

function wayTo(driver: StreamDriver, token: bigint): StreamWay {
  if (driver.way !== undefined) return driver.way(token);
  return {
    isLane: false,
    move: (offset, bytes, options) => driver.move(token, offset, bytes, options),
    close: () => undefined,
  };
}
