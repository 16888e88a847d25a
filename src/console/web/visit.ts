// One page that shows a console: what the console tells goes to the page, what the page asks for to the console. A page that
// says what ours does not say loses its socket; the others have theirs.
import type { WebSocket } from 'ws';
import { harmless } from '../../support/text.js';
import type { ConsoleView, ConsoleViewEvents } from '../view.js';
import { askedBy, type FromPage, type ToPage } from './messages.js';
import { Outflow } from './outflow.js';

/** Bytes that may wait in a socket: more than the window of output, and what is told besides. */
const mostBuffered = 4 * 1024 * 1024;

/** How a socket is closed, by the numbers of RFC 6455. */
export const closing = { normal: 1000, away: 1001, broken: 1008, failed: 1011 } as const;

type Listeners = { [Event in keyof ConsoleViewEvents]: (...values: ConsoleViewEvents[Event]) => void };

export class Visit {
  readonly #socket: WebSocket;
  readonly #view: ConsoleView;
  readonly #outflow: Outflow;
  readonly #listeners: Listeners;
  /** Keys that the console had no room for, and those that were read with them; nothing more is read of the page meanwhile. */
  #keys: Uint8Array[] = [];
  #isOpen = true;
  #hasEnded = false;

  constructor(socket: WebSocket, view: ConsoleView) {
    this.#socket = socket;
    this.#view = view;
    this.#outflow = new Outflow(
      (item) => this.#send(item),
      () => view.size,
    );
    this.#listeners = this.#listen();
    for (const [event, told] of Object.entries(this.#listeners)) view.on(event as 'close', told as () => void);
    socket.on('message', (data, isBinary) => this.#heard(data as Buffer, isBinary));
    socket.on('close', () => this.#end());
    const { name, role, size } = view;
    this.#send({ type: 'hello', name: harmless(name), role, size });
  }

  /** Ends it, and tells the page why. */
  close(text: string, code: number = closing.away): void {
    if (this.#hasEnded) return;
    this.#send({ type: 'end', text });
    this.#socket.close(code);
    this.#end();
  }

  #listen(): Listeners {
    return {
      data: (bytes) => this.#outflow.output(bytes),
      screen: (bytes) => {
        this.#outflow.tell({ type: 'screen' });
        this.#outflow.output(bytes);
      },
      gap: (_from, bytes) => this.#outflow.tell({ type: 'gap', bytes: Number(bytes) }),
      size: (size) => this.#outflow.tell({ type: 'size', size }),
      role: (role, reason) => {
        this.#send({ type: 'role', role, reason: harmless(reason) });
        this.#typeOn();
      },
      notice: (text) => this.#send({ type: 'notice', text: harmless(text) }),
      exit: ({ status, signal }) => {
        const text = signal === null ? `ended with status ${status}` : `ended by ${harmless(signal)}`;
        this.#outflow.tell({ type: 'exit', text });
      },
      state: (state) => {
        this.#isOpen = state === 'open';
        this.#send({ type: 'state', state });
        this.#typeOn();
      },
      drain: () => this.#typeOn(),
      error: (error) => this.close(harmless(error.message), closing.failed),
      close: () => this.close('the console was closed', closing.normal),
    };
  }

  #heard(data: Buffer, isBinary: boolean): void {
    if (this.#hasEnded) return;
    if (isBinary) {
      this.#type(data);
      return;
    }
    const asked = askedBy(data.toString());
    if (asked === null || !this.#do(asked)) this.#refuse();
  }

  /** @returns false where no page of ours would ask for it */
  #do(asked: FromPage): boolean {
    const view = this.#view;
    if (asked.type === 'shown') return this.#outflow.shown(asked.bytes);
    if (asked.type === 'request') view.request(asked.role, asked.reason);
    else if (view.role === 'write' && asked.type === 'size') view.resize(asked.size);
    else if (view.role === 'write' && asked.type === 'break') view.sendBreak();
    return true;
  }

  #type(keys: Uint8Array): void {
    this.#keys.push(keys);
    if (this.#keys.length > 1) return;
    this.#typeOn();
    if (this.#keys.length > 0) this.#socket.pause();
  }

  /** Keys of a viewer, and those typed while the console is not there, are typed nowhere: the page shows that. */
  #typeOn(): void {
    const isTaken = (keys: Uint8Array): boolean =>
      this.#view.role !== 'write' || !this.#isOpen || this.#view.write(keys);
    while (this.#keys[0] !== undefined && isTaken(this.#keys[0])) this.#keys.shift();
    if (this.#keys.length === 0 && this.#socket.isPaused) this.#socket.resume();
  }

  #refuse(): void {
    this.#socket.close(closing.broken, 'no page of this server says that');
    this.#end();
  }

  #send(item: Uint8Array | ToPage): void {
    if (this.#hasEnded) return;
    if (this.#socket.bufferedAmount > mostBuffered) {
      this.#socket.terminate(); // 'close' follows
      return;
    }
    this.#socket.send(item instanceof Uint8Array ? item : JSON.stringify(item));
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#socket.isPaused) this.#socket.resume();
    const { error: _, ...others } = this.#listeners; // an error that comes now has been told, or is nobody's any more
    for (const [event, told] of Object.entries(others)) this.#view.off(event as 'close', told as () => void);
    this.#view.close();
  }
}
