// A stream that is not open yet, at either end: memory that waits for the peer's hello, for a bounded time.
import type { IsmioError } from '../../support/errors.js';
import type { StreamDmb } from './driver.js';
import { type Expected, type Hello, type Refusal, readHello, type WrongHello } from './hello.js';
import type { Session } from './session.js';
import type { Timed } from './timed.js';

/** How it ends: the hello, or why there is none. The memory is the opener's again. */
export interface Opener {
  hello(hello: Hello): Session | null;
  refused(refusal: Refusal): void;
  wrong(wrong: WrongHello): void;
  expired(): void;
  died(error: IsmioError): void;
  /** Asks again. */
  repeat?(): void;
}

/** The first pause before the peer is asked again; it doubles up to the longest. An event queue has 15 entries and may wrap. */
const firstPause = 25;
const longestPause = 400;

export class Opening implements Timed {
  readonly gid: bigint;
  readonly #dmb: StreamDmb;
  readonly #expected: Expected;
  readonly #opener: Opener;
  readonly #expires: number;
  #pause = firstPause;
  #next: number;
  #ended = false;
  /** What the hello has opened, whoever found it: the memory's signals are its own from then on. */
  #session: Session | null = null;

  constructor(gid: bigint, dmb: StreamDmb, expected: Expected, opener: Opener, now: number, timeout: number) {
    this.gid = gid;
    this.#dmb = dmb;
    this.#expected = expected;
    this.#opener = opener;
    this.#expires = now + timeout;
    this.#next = now + firstPause;
    dmb.on('signal', () => {
      if (this.#session === null) this.look();
      else this.#session.signalled();
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  get deadline(): number {
    return Math.min(this.#next, this.#expires);
  }

  look(): void {
    if (this.#ended) return;
    const found = readHello(this.#dmb.memory, this.#expected);
    if (found === null) return;
    this.#ended = true;
    if ('wrong' in found) this.#opener.wrong(found);
    else if ('reason' in found) this.#opener.refused(found);
    else this.#session = this.#opener.hello(found);
  }

  tick(now: number): void {
    this.look();
    if (this.#ended) return;
    if (now >= this.#expires) {
      this.end();
      this.#opener.expired();
    } else if (now >= this.#next) {
      this.#pause = Math.min(2 * this.#pause, longestPause);
      this.#next = now + this.#pause;
      this.#opener.repeat?.();
    }
  }

  die(error: IsmioError): void {
    if (this.#ended) return;
    this.end();
    this.#opener.died(error);
  }

  /** It is given up by its opener. */
  end(): void {
    this.#ended = true;
  }
}
