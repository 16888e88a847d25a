// Output on its way to one page. No more goes out than the page has said it has shown, and a window; what comes then waits, and
// where too much waits the oldest of it is dropped: what a slow page shows at last is the end, and it is told what is missing.
import type { TerminalSize } from '../view.js';
import type { ToPage } from './messages.js';

/** Bytes that a page has got and not shown yet. */
const window = 512 * 1024;
/** Bytes that wait for it. */
const mostWaiting = 1024 * 1024;
/** Bytes of one message. */
const piece = 32 * 1024;
/** What a message that waits counts. */
const messageBytes = 256;

export class Outflow {
  readonly #send: (item: Uint8Array | ToPage) => void;
  readonly #size: () => TerminalSize;
  #waiting: (Uint8Array | ToPage)[] = [];
  #waitingBytes = 0;
  /** Sent and not shown yet. */
  #away = 0;
  /** What was dropped of the front of what waits. */
  #dropped = 0;

  /** @param size of the console, as it is */
  constructor(send: (item: Uint8Array | ToPage) => void, size: () => TerminalSize) {
    this.#send = send;
    this.#size = size;
  }

  output(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += piece) this.#add(Uint8Array.from(bytes.subarray(at, at + piece)));
  }

  /** In its place among the output. A screen makes what waits before it worthless. */
  tell(message: ToPage): void {
    if (message.type === 'screen') this.#forget();
    this.#add(message);
  }

  /** @returns false where a page says that it has shown what it never got */
  shown(bytes: number): boolean {
    if (bytes > this.#away) return false;
    this.#away -= bytes;
    this.#flow();
    return true;
  }

  #add(item: Uint8Array | ToPage): void {
    this.#waiting.push(item);
    this.#waitingBytes += costOf(item);
    this.#flow();
    while (this.#waitingBytes > mostWaiting) this.#drop();
  }

  #flow(): void {
    while (this.#waiting.length > 0 && this.#away < window) {
      if (this.#dropped > 0) this.#tellGap();
      const item = this.#take();
      if (item instanceof Uint8Array) this.#away += item.length;
      this.#send(item);
    }
  }

  #tellGap(): void {
    this.#send({ type: 'gap', bytes: this.#dropped });
    this.#send({ type: 'size', size: this.#size() });
    this.#dropped = 0;
  }

  /** The oldest goes. A size is told with the gap, whatever it is by then. */
  #drop(): void {
    const item = this.#take();
    if (item instanceof Uint8Array) this.#dropped += item.length;
    else if (item.type === 'gap') this.#dropped += item.bytes;
  }

  #take(): Uint8Array | ToPage {
    const item = this.#waiting.shift() as Uint8Array | ToPage;
    this.#waitingBytes -= costOf(item);
    return item;
  }

  #forget(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#dropped = 0;
  }
}

function costOf(item: Uint8Array | ToPage): number {
  return item instanceof Uint8Array ? item.length : messageBytes;
}
