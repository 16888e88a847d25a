// The line to the server. Where it is lost it is made anew, with longer and longer pauses.
import type { FromPage, ToPage } from '../messages.js';

/** Bytes of keys in one message: a long text that is pasted is many. */
const piece = 16 * 1024;
/** Shown bytes are told when there are so many, or when there is a pause. */
const enough = 64 * 1024;
const pauses = { first: 500, longest: 10_000 };
/** How the server closes what it does not want again. */
const final = [1000, 1001, 1008, 1011];

export interface Listener {
  /** @param shown is called once they are on the screen */
  output(bytes: Uint8Array, shown: () => void): void;
  told(message: ToPage): void;
  /** @param isFinal whether it is not tried again */
  lost(isFinal: boolean): void;
}

export class Line {
  readonly #listener: Listener;
  #socket: WebSocket;
  #pause = pauses.first;
  #shown = 0;
  #isTelling = false;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#socket = this.#open();
  }

  type(keys: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < keys.length; at += piece) this.#socket.send(keys.slice(at, at + piece));
  }

  ask(message: FromPage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #showed(socket: WebSocket, bytes: number): void {
    if (socket !== this.#socket) return; // of a line that was lost
    this.#shown += bytes;
    if (this.#shown >= enough) this.#tellShown();
    else if (!this.#isTelling) {
      this.#isTelling = true;
      setTimeout(() => this.#tellShown(), 10);
    }
  }

  #tellShown(): void {
    this.#isTelling = false;
    if (this.#shown > 0) this.ask({ type: 'shown', bytes: this.#shown });
    this.#shown = 0;
  }

  #open(): WebSocket {
    const socket = new WebSocket(`ws://${location.host}/socket`);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data !== 'string') {
        this.#listener.output(new Uint8Array(data), () => this.#showed(socket, data.byteLength));
        return;
      }
      const message = JSON.parse(data) as ToPage;
      if (message.type === 'hello') this.#pause = pauses.first;
      this.#listener.told(message);
    });
    socket.addEventListener('close', ({ code }) => {
      const isFinal = final.includes(code);
      this.#listener.lost(isFinal);
      if (!isFinal) this.#again();
    });
    return socket;
  }

  #again(): void {
    setTimeout(() => {
      this.#shown = 0;
      this.#socket = this.#open();
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, pauses.longest);
  }
}
