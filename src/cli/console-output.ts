// Output of a console on its way to where it is wanted, no faster than that takes it: where much waits the console is not read,
// and what it says is kept by its server, which tells a gap where that was too much.
import type { Writable } from 'node:stream';
import type { ConsoleClient } from 'ismio/console';

/** Bytes that may wait here: a history of the usual size, since a server that closes does not wait for whoever reads slowly. */
const most = 2 ** 20;

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
    if (sink.destroyed || sink.write(bytes) || sink.writableLength < most || this.#full.has(sink)) return;
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
