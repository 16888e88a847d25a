// The driver that an end has its streams by, for as long as the end is there: the one that a program has given, or one that is opened
// again when the last was lost.
import type { Ism } from './ism.js';

export class KeptDriver {
  readonly #open: () => Promise<Ism>;
  readonly #reopens: boolean;
  #ism: Ism | null = null;
  #isClosed = false;
  #endListening: () => void = () => undefined;

  /** @param reopens whether `open` opens a driver each time, which is then closed here */
  constructor(open: () => Promise<Ism>, reopens: boolean) {
    this.#open = open;
    this.#reopens = reopens;
  }

  /** Whether it was closed, and there will be no other. */
  get isGone(): boolean {
    return !this.#reopens && this.#ism?.closed === true;
  }

  /** One that was lost is of no use: another is opened. Where that ends after `close`, it is closed at once. */
  async get(): Promise<Ism> {
    if (this.#ism !== null && !this.#ism.closed) return this.#ism;
    const ism = await this.#open();
    this.#endListening();
    this.#ism = ism;
    if (this.#isClosed) this.close();
    else this.#listen(ism);
    return ism;
  }

  /** What was opened here is closed with it. */
  close(): void {
    this.#isClosed = true;
    this.#endListening();
    if (this.#ism !== null) this.#end(this.#ism);
    this.#ism = null;
  }

  #listen(ism: Ism): void {
    const lost = (): void => this.#end(ism);
    ism.once('lost', lost);
    this.#endListening = () => ism.off('lost', lost);
  }

  #end(ism: Ism): void {
    if (this.#reopens && !ism.closed) ism.close();
  }
}
