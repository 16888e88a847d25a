// Output of a console on its way to where it is wanted, no faster than that takes it: meanwhile the console is not read, and what
// it says is kept by its server, which tells a gap where that was too much.
import type { Writable } from 'node:stream';
import type { ConsoleClient } from 'ismio/console';

export class ConsoleOutput {
  readonly #client: ConsoleClient;
  /** Those that take nothing now. */
  readonly #full = new Set<Writable>();

  constructor(client: ConsoleClient) {
    this.#client = client;
  }

  get isWaiting(): boolean {
    return this.#full.size > 0;
  }

  write(sink: Writable, bytes: Uint8Array): void {
    if (sink.destroyed || sink.write(bytes) || this.#full.has(sink)) return;
    this.#full.add(sink);
    this.#client.pause();
    const goOn = (): void => {
      sink.off('drain', goOn).off('close', goOn); // one that has failed is waited for no longer
      this.#full.delete(sink);
      if (!this.isWaiting) this.#client.resume();
    };
    sink.on('drain', goOn).on('close', goOn);
  }
}
