// Whether an end that has nothing to do looks again for a moment before it says that it sleeps. To be woken costs both sides
// a call of the kernel, and tens of microseconds until the thread runs: more than most answers take that come at once. So it
// looks again where the last wait was a short one, and sleeps at once where it was not, as KVM does with idle CPUs
// (virt/kvm/kvm_main.c, halt_poll_ns).

/** Milliseconds of a short wait, which is the longest time that is spent in vain. */
const short = 0.5;

export class Patience {
  #isWorthIt = false;
  #heard = 0;
  #since = 0;

  /**
   * @param heard how often there was news of the peer
   * @param now milliseconds
   */
  holds(heard: number, now: number): boolean {
    const waited = now - this.#since;
    if (heard !== this.#heard) {
      this.#heard = heard;
      this.#since = now;
      this.#isWorthIt = waited < short;
    } else if (waited >= short) {
      this.#isWorthIt = false;
    }
    return this.#isWorthIt;
  }
}
