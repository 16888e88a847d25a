// Keeps the event loop awake for a moment while requests come at once: to be woken costs tens of microseconds, which a client that
// asks one by one would wait for each time.
import { setImmediate } from 'node:timers';
import { native } from '../../addon/binding.js';
import { Patience } from '../../support/patience.js';

/** Of all clients of a server. */
export class Attention {
  readonly #patience = new Patience();
  #heard = 0;
  #isWaiting = false;

  /** Something came. */
  heard(): void {
    this.#heard++;
    this.#look();
  }

  #look(): void {
    if (this.#isWaiting || !this.#patience.holds(this.#heard, performance.now())) return;
    this.#isWaiting = true;
    setImmediate(() => {
      this.#isWaiting = false;
      native.yieldProcessor(); // the client may wait for this very CPU
      this.#look();
    });
  }
}
