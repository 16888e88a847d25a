// A console as a client has it. When the connection is lost it is made anew, and output goes on at the byte where it was.
import { EventEmitter } from 'node:events';
import { constants } from 'node:os';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import type { Ism } from '../ism/driver/ism.js';
import { KeptDriver } from '../ism/driver/kept.js';
import { newNonce } from '../ism/talk/key.js';
import type { ValuesOf } from '../ism/talk/messages.js';
import { onAbort } from '../support/abort.js';
import { IsmioError, isIsmioError } from '../support/errors.js';
import { Retry } from '../support/retry.js';
import { agreed, Conversation, type Told } from './conversation.js';
import { type Attaching, type AttachOptions, checkAttach } from './options.js';
import { Position } from './position.js';
import { checkSize, sizeOf } from './size.js';
import type { ConsoleRole, ConsoleView, ConsoleViewEvents, TerminalSize } from './view.js';
import { checkWelcome, roleOf, type Welcome } from './welcome.js';
import {
  broken,
  endings,
  type FromServer,
  longestKeys,
  policies,
  positionOf,
  refusals,
  roles,
  wordOf,
} from './wire.js';

/** Bytes of keys that wait to be sent. */
const mostKeys = 65_536;

/** A console of another function, made by `attachConsole`. */
export class ConsoleClient extends EventEmitter<ConsoleViewEvents> implements ConsoleView {
  readonly #driver: KeptDriver;
  readonly #gid: bigint;
  readonly #settings: Attaching;
  readonly #retry = new Retry();
  /** By this a server that has not found the old stream dead yet knows who comes back. */
  readonly #attachment = newNonce();
  #conversation: Conversation | null = null;
  #welcome: Welcome | null = null;
  #size: TerminalSize;
  #window: TerminalSize;
  #role: ConsoleRole = 'view';
  readonly #position = new Position();
  #state: 'connecting' | 'open' | 'lost' = 'connecting';
  #lostAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #isFull = false;
  #isPaused = false;
  readonly #abandon = new AbortController();
  #isClosed = false;
  #closedBy: string | null = null;
  #next: (typeof policies)[number] | null = null;
  #endSignal: () => void = () => undefined;

  /** @internal */
  constructor(ism: Ism | (() => Promise<Ism>), gid: bigint, settings: Attaching) {
    super();
    const reopens = typeof ism === 'function';
    this.#driver = new KeptDriver(reopens ? ism : () => Promise.resolve(ism), reopens);
    this.#gid = gid;
    this.#settings = settings;
    this.#window = settings.size;
    this.#size = settings.size;
  }

  /** @internal Attaches for the first time. */
  async begin(): Promise<void> {
    const { signal } = this.#settings;
    if (signal !== undefined) this.#endSignal = onAbort(signal, () => this.close());
    try {
      await this.#attach();
    } catch (error) {
      this.close();
      throw signal?.aborted === true ? aborted(signal) : error;
    }
    if (this.#isClosed)
      throw signal?.aborted === true ? aborted(signal) : new IsmioError('ERR_ISMIO_CLOSED', 'it was closed');
  }

  /** Of the function that serves it. */
  get gid(): bigint {
    return this.#gid;
  }

  get name(): string {
    return this.#welcome?.name ?? this.#settings.name;
  }

  get role(): ConsoleRole {
    return this.#role;
  }

  /** Of the terminal at the other end. */
  get size(): TerminalSize {
    return { ...this.#size };
  }

  get state(): 'connecting' | 'open' | 'lost' {
    return this.#state;
  }

  /** Where output goes on, and of which life of the console: what `replay` takes. Null before there was any. */
  get position(): { readonly from: bigint; readonly life: bigint } | null {
    const { next } = this.#position;
    if (next === null || this.#welcome === null) return null;
    return { from: BigInt(next), life: this.#welcome.life };
  }

  /** Why the server ended it, where it did. */
  get closedBy(): string | null {
    return this.#closedBy;
  }

  /** What the server does when the command has ended, where it has: 'keep' what was said, 'restart' it, or 'close'. */
  get next(): (typeof policies)[number] | null {
    return this.#next;
  }

  /** What the server kept when this client was attached: the positions of the oldest byte, and of the one behind the last. */
  get history(): { readonly start: bigint; readonly end: bigint } {
    const { start = 0n, end = 0n } = this.#welcome ?? {};
    return { start, end };
  }

  write(bytes: Uint8Array | string): boolean {
    const keys = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    if (this.#role !== 'write') return false;
    if (this.#conversation === null) {
      this.#isFull = true;
      return false;
    }
    if (this.#conversation.queued + keys.length > mostKeys && this.#conversation.queued > 0) {
      this.#isFull = true;
      return false;
    }
    for (let at = 0; at < keys.length; at += longestKeys) {
      this.#conversation.send('keys', { bytes: keys.subarray(at, at + longestKeys) }, () => this.#drained());
    }
    return true;
  }

  /** Reads no more: what comes stays at the server, as long as its history keeps it. Whatever else is told waits behind it. */
  pause(): void {
    this.#isPaused = true;
    this.#conversation?.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#isPaused = false;
    this.#conversation?.resume();
  }

  resize(size: Partial<TerminalSize>): void {
    this.#window = checkSize(size);
    this.#conversation?.resize(this.#window);
  }

  sendBreak(): void {
    this.#conversation?.send('break', {});
  }

  request(role: ConsoleRole, reason?: string): void {
    const number = roles.indexOf(role === 'write' && reason !== undefined ? 'force' : role);
    this.#conversation?.send('ask', { role: number, reason: reason ?? '' });
  }

  /** Milliseconds to the server and back. */
  async ping(): Promise<number> {
    const conversation = this.#conversation;
    if (conversation === null) throw new IsmioError('ERR_ISMIO_CLOSED', 'the console is not attached now');
    return conversation.ping();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endSignal();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#abandon.abort();
    const conversation = this.#conversation;
    this.#conversation = null;
    conversation?.onClose(() => this.#driver.close());
    conversation?.close();
    if (conversation === null) this.#driver.close();
    this.emit('close');
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #attach(): Promise<void> {
    const ism = await this.#driver.get();
    if (this.#isClosed) return;
    const { port, stream, key } = this.#settings;
    const { signal } = this.#abandon;
    const conversation = await Conversation.open(ism, this.#gid, port, { stream, key, signal });
    const endWaiting = onAbort(signal, () => conversation.destroy());
    try {
      const window = this.#window;
      this.#welcomed(await conversation.attach(this.#hello()), conversation);
      if (this.#window !== window) conversation.resize(this.#window);
    } catch (error) {
      conversation.close();
      throw error;
    } finally {
      endWaiting();
    }
    // Whoever is given the client in this turn has to be able to listen first.
    setImmediate(() => {
      if (this.#isClosed) return;
      conversation.start((message) => this.#told(message));
      if (this.#isPaused) conversation.pause();
    });
  }

  #hello() {
    const { name, role, reason, replay } = this.#settings;
    const how = this.#welcome === null ? replay : (this.position ?? replay);
    const wish = this.#welcome === null ? role : this.#role;
    const attachment = this.#attachment;
    return { attachment, name: this.name || name, role: wish, reason, replay: how, size: this.#window };
  }

  #welcomed(welcome: Welcome, conversation: Conversation): void {
    const isAnother = this.#welcome !== null && this.#welcome.life !== welcome.life;
    const wasAttached = this.#welcome !== null;
    checkWelcome(welcome);
    this.#conversation = conversation;
    conversation.onClose((error) => this.#lost(conversation, error));
    this.#welcome = welcome;
    if (!wasAttached) this.#position.begin(this.#settings.replay, welcome);
    if (isAnother) {
      this.#position.beginAnew();
      this.emit('notice', 'the console was begun anew: what it said before has gone');
    }
    this.#retry.succeeded();
    this.#setState('open');
    this.#resized(welcome);
    const role = roleOf(welcome.role);
    if (role !== this.#role || (!wasAttached && welcome.reason !== '')) {
      setImmediate(() => this.#assigned(role, welcome.reason));
    }
    this.#role = role;
    if (this.#isFull) setImmediate(() => this.#drained());
  }

  #told(message: Told): void {
    const { name, values } = message;
    if (name === 'data') this.#data(positionOf(values.offset, 'offset'), values.bytes);
    else if (name === 'screen') this.#screen(positionOf(values.offset, 'offset'), values.bytes);
    else if (name === 'gap') this.#gap(positionOf(values.from, 'from'), positionOf(values.bytes, 'bytes'));
    else if (name === 'size') this.#resized(values);
    else if (name === 'role') this.#assigned(roleOf(values.role), values.reason);
    else if (name === 'notice') this.emit('notice', values.text);
    else if (name === 'exit') this.#exited(values);
    else if (name === 'refused') this.#refused(message);
    else throw broken(`'${name}' came to a client that is attached`);
  }

  /** A console that has closed is no failure; anything else is. */
  #refused(message: Extract<Told, { name: 'refused' }>): void {
    if (refusals[message.values.code] !== 'closed') agreed(message);
    this.#closedBy = message.values.reason;
  }

  #data(offset: number, bytes: Uint8Array): void {
    this.#position.data(offset, bytes.length);
    this.emit('data', bytes, BigInt(offset));
  }

  #screen(offset: number, bytes: Uint8Array): void {
    this.#position.screen(offset);
    this.emit('screen', bytes, BigInt(offset));
  }

  #gap(from: number, bytes: number): void {
    this.#position.gap(from, bytes);
    this.emit('gap', BigInt(from), BigInt(bytes));
  }

  #resized(size: TerminalSize): void {
    this.#size = sizeOf(size);
    this.emit('size', this.size);
  }

  #assigned(role: ConsoleRole, reason: string): void {
    this.#role = role;
    this.emit('role', role, reason);
  }

  #exited({ how, status, next }: ValuesOf<FromServer['exit']['fields']>): void {
    this.#next = wordOf(policies, next, 'next');
    const isSignal = wordOf(endings, how, 'how') === 'signal';
    this.emit('exit', isSignal ? { status: null, signal: signalName(status) } : { status, signal: null });
  }

  #drained(): void {
    if (!this.#isFull || (this.#conversation?.queued ?? 0) > 0) return;
    this.#isFull = false;
    this.emit('drain');
  }

  #lost(conversation: Conversation, error: Error): void {
    if (this.#conversation !== conversation || this.#isClosed) return;
    this.#conversation = null;
    const isFinal =
      this.#closedBy !== null || isIsmioError(error, 'ERR_ISMIO_CONSOLE') || this.#settings.reconnect === 0;
    if (isFinal) {
      this.#finish(this.#closedBy === null ? error : null);
      return;
    }
    this.#lostAt = performance.now();
    this.#setState('lost');
    this.#retryLater();
  }

  #retryLater(): void {
    this.#timer = setTimeout(() => {
      this.#attach().catch((error: Error) => {
        if (this.#isClosed) return;
        const isOver = performance.now() - this.#lostAt >= this.#settings.reconnect;
        if (isOver || isIsmioError(error, 'ERR_ISMIO_CONSOLE')) this.#finish(error);
        else this.#retryLater();
      });
    }, this.#retry.next());
  }

  #finish(error: Error | null): void {
    if (error !== null) this.emit('error', error);
    this.close();
  }

  #setState(state: 'connecting' | 'open' | 'lost'): void {
    this.#state = state;
    this.emit('state', state);
  }
}

function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, one]) => one === number);
  return found?.[0] ?? `signal ${number}`;
}

function aborted(signal: AbortSignal): IsmioError {
  return new IsmioError('ERR_ISMIO_ABORTED', 'attaching was aborted', {}, signal.reason);
}

/**
 * Attaches to a console of the function `gid`.
 * @param ism a driver, or what opens one: then the client goes on when the fabric went and came back
 * @throws IsmioError ERR_ISMIO_CONSOLE where the server refuses, with `reason` 'unknown', 'denied', 'key', 'version' or
 * 'full'; what `ism.connect` throws; ERR_ISMIO_ABORTED
 */
export async function attachConsole(
  ism: Ism | (() => Promise<Ism>),
  gid: bigint,
  options: AttachOptions = {},
): Promise<ConsoleClient> {
  const client = new ConsoleClient(ism, gid, checkAttach(options));
  await client.begin();
  return client;
}
