// One stream of a client to a server: what is said on it before anybody is attached, and after.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ism } from '../ism/driver/ism.js';
import type { StreamOptions } from '../ism/stream/options.js';
import { checkPort } from '../ism/stream/options.js';
import type { IsmStream } from '../ism/stream/stream.js';
import { hangUp } from '../ism/talk/farewell.js';
import { checkKey, newNonce, proofOf, proves } from '../ism/talk/key.js';
import { encode, type MessageOf, type ValuesOf } from '../ism/talk/messages.js';
import { checkOptions } from '../support/check.js';
import { IsmioError, isIsmioError } from '../support/errors.js';
import type { Replay } from './options.js';
import type { TerminalSize } from './view.js';
import {
  broken,
  decode,
  defaultPort,
  type FromClient,
  type FromServer,
  fromClient,
  fromServer,
  longestFromServer,
  protocol,
  refusals,
  replays,
  roles,
  states,
  version,
} from './wire.js';

export type Told = MessageOf<FromServer>;
type StreamPart = Pick<StreamOptions, 'ring' | 'heartbeat'>;

/** What a client says of itself. */
export interface Introduction {
  /** The same on each stream of one client. */
  readonly attachment: Uint8Array;
  readonly name: string;
  readonly role: (typeof roles)[number];
  readonly reason: string;
  readonly replay: Replay;
  readonly size: TerminalSize;
}

interface Gids {
  readonly clientGid: bigint;
  readonly serverGid: bigint;
}

interface Waiting {
  readonly told: (message: Told) => void;
  readonly failed: (error: Error) => void;
}

export class Conversation {
  readonly #stream: IsmStream;
  readonly #gids: Gids;
  readonly #key: Uint8Array | null;
  #waiting: Waiting | null = null;
  #told: ((message: Told) => void) | null = null;
  #closed: (error: Error) => void = () => undefined;
  /** In the order in which they were sent. */
  readonly #pings = new Map<number, Waiting>();
  #nextPing = 0;
  /** What waits to be sent. */
  #size: TerminalSize | null = null;
  #isSizeOnItsWay = false;
  #error: Error | null = null;
  #isOver = false;

  static async open(
    ism: Ism,
    gid: bigint,
    port: number,
    { stream, key, signal }: { stream: StreamPart; key: Uint8Array | null; signal?: AbortSignal },
  ): Promise<Conversation> {
    const options = { mode: 'messages', recordLimit: longestFromServer, ...stream } as const;
    const opened = await ism.connect(gid, port, signal === undefined ? options : { ...options, signal });
    return new Conversation(opened, { clientGid: ism.gid, serverGid: gid }, key);
  }

  private constructor(stream: IsmStream, gids: Gids, key: Uint8Array | null) {
    this.#stream = stream;
    this.#gids = gids;
    this.#key = key;
    stream.on('data', (record: Uint8Array) => this.#came(record));
    stream.on('error', (error) => {
      this.#error ??= error;
    });
    stream.on('end', () => stream.end());
    stream.on('close', () => this.#over());
  }

  /** Bytes that wait to be sent. */
  get queued(): number {
    return this.#stream.writableLength > 0 ? this.#unsent : 0;
  }

  #unsent = 0;

  /** Says who this is, and shows the key where the server asks for it. @throws IsmioError ERR_ISMIO_CONSOLE */
  async attach(who: Introduction): Promise<ValuesOf<FromServer['welcome']['fields']>> {
    const nonce = newNonce();
    const { attachment, role, reason, name, replay, size } = who;
    const how = replayFields(replay);
    const said = { version, role: roles.indexOf(role), reserved: 0, ...how, ...size };
    const hello = { ...said, nonce, attachment, name, reason };
    this.send('hello', hello);
    const { answer, proof } = await this.#answered(nonce, name);
    if (answer.name !== 'welcome') throw broken(`'${answer.name}' came, and not 'welcome'`);
    if (proof !== null && !proves(answer.values.proof, proof)) throw this.#refusedKey('its answer does not show it');
    return answer.values;
  }

  /** What follows the welcome waited until now. */
  start(told: (message: Told) => void): void {
    this.#told = told;
    this.#stream.resume();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    if (this.#told !== null) this.#stream.resume();
  }

  /** The consoles there are. */
  async list(): Promise<ValuesOf<FromServer['item']['fields']>[]> {
    const nonce = newNonce();
    this.send('list', { version, nonce });
    let { answer } = await this.#answered(nonce, '');
    const found: ValuesOf<FromServer['item']['fields']>[] = [];
    for (; answer.name === 'item' && found.length <= mostKept; answer = await this.#next()) found.push(answer.values);
    if (answer.name !== 'items') throw broken(`'${answer.name}' came in a list of ${found.length}`);
    const { count } = answer.values;
    if (count !== found.length) throw broken(`a list of ${found.length} says that it has ${count}`, { count });
    return found;
  }

  send<Name extends keyof FromClient & string>(
    name: Name,
    values: ValuesOf<FromClient[Name]['fields']>,
    sent?: () => void,
  ): void {
    if (!this.#stream.writable) return;
    this.#sendSize();
    const record = encode<FromClient, Name>(fromClient, name, values);
    this.#unsent += record.length;
    this.#stream.write(record, () => {
      this.#unsent -= record.length;
      sent?.();
    });
  }

  /** Of many sizes the last one counts: it waits until the one before it was sent, or something else is to be. */
  resize(size: TerminalSize): void {
    this.#size = size;
    if (!this.#isSizeOnItsWay) this.#sendSize();
  }

  #sendSize(): void {
    const size = this.#size;
    if (size === null) return;
    this.#size = null;
    this.#isSizeOnItsWay = true;
    this.send('resize', { ...size }, () => {
      this.#isSizeOnItsWay = false;
      this.#sendSize();
    });
  }

  async ping(): Promise<number> {
    const token = this.#nextPing++ >>> 0;
    const began = performance.now();
    await new Promise<void>((resolve, reject) => {
      this.#pings.set(token, { told: () => resolve(), failed: reject });
      this.send('ping', { token });
    });
    return performance.now() - began;
  }

  onClose(closed: (error: Error) => void): void {
    this.#closed = closed;
    if (this.#isOver) process.nextTick(closed, this.#gone());
  }

  close(): void {
    this.#told = () => undefined;
    hangUp(this.#stream);
  }

  /** Gives it up, whatever is on its way. */
  destroy(): void {
    this.#stream.destroy();
  }

  #came(record: Uint8Array): void {
    try {
      const message = decode(fromServer, record);
      if (message.name === 'pong') this.#ponged(message.values.token);
      else if (this.#told !== null) this.#told(message);
      else this.#keep(message);
    } catch (error) {
      if (!isIsmioError(error, 'ERR_ISMIO_CONSOLE')) throw error; // of the program that listens
      this.#error ??= error;
      this.#stream.destroy();
    }
  }

  readonly #kept: Told[] = [];

  /** Of a server that says more than it was asked for nothing is kept but what can belong to an answer. */
  #keep(message: Told): void {
    if (message.name === 'welcome') this.#stream.pause();
    if (this.#waiting !== null) {
      const { told } = this.#waiting;
      this.#waiting = null;
      told(message);
    } else if (this.#kept.length < mostKept) this.#kept.push(message);
    else throw broken('it says much before anything was agreed on');
  }

  #ponged(token: number): void {
    if (!this.#pings.has(token)) throw broken(`nobody has asked for an answer to ${token}`);
    // A server that is asked often answers the last: those before it are answered with it.
    for (const [asked, { told }] of this.#pings) {
      this.#pings.delete(asked);
      told({ name: 'pong', values: { token } });
      if (asked === token) break;
    }
  }

  async #answered(clientNonce: Uint8Array, name: string): Promise<{ answer: Told; proof: Buffer | null }> {
    const first = await this.#next();
    if (this.#key === null && first.name === 'challenge') throw this.#refusedKey('it asks for one; say it by key');
    if (this.#key === null || first.name === 'refused') return { answer: agreed(first), proof: null };
    if (first.name !== 'challenge') throw this.#refusedKey('it does not ask for one, so that anybody may be there');
    const shake = { protocol, clientNonce, serverNonce: first.values.nonce, ...this.#gids, name };
    this.send('proof', { proof: proofOf(this.#key, 'client', shake) });
    return { answer: agreed(await this.#next()), proof: proofOf(this.#key, 'server', shake) };
  }

  #refusedKey(why: string): IsmioError {
    const text = `the console's server and this end do not have the same key: ${why}`;
    return new IsmioError('ERR_ISMIO_CONSOLE', text, { reason: 'key' });
  }

  async #next(): Promise<Told> {
    const kept = this.#kept.shift();
    if (kept !== undefined) return kept;
    return new Promise((told, failed) => {
      if (this.#isOver) {
        failed(this.#gone());
        return;
      }
      const silent = setTimeout(() => {
        this.#error ??= broken(`nothing was answered in ${answerTime} ms`);
        this.#stream.destroy();
      }, answerTime);
      this.#waiting = {
        told: (message) => {
          clearTimeout(silent);
          told(message);
        },
        failed: (error) => {
          clearTimeout(silent);
          failed(error);
        },
      };
    });
  }

  #gone(): Error {
    return this.#error ?? new IsmioError('ERR_ISMIO_ISM_PEER_DIED', 'the console’s server has ended the stream');
  }

  #over(): void {
    this.#isOver = true;
    this.#waiting?.failed(this.#gone());
    for (const { failed } of this.#pings.values()) failed(this.#gone());
    this.#pings.clear();
    this.#closed(this.#gone());
  }
}

/** Milliseconds in which a server has to answer. */
const answerTime = 10_000;

/** Messages that may come between a welcome and whoever reads on, or of a list. */
const mostKept = 4096;

/** @throws IsmioError ERR_ISMIO_CONSOLE where the server refuses */
export function agreed(answer: Told): Told {
  if (answer.name !== 'refused') return answer;
  const { code, reason } = answer.values;
  throw new IsmioError('ERR_ISMIO_CONSOLE', `the console's server refuses: ${reason}`, {
    reason: refusals[code] ?? code,
  });
}

function replayFields(replay: Replay): { replay: number; life: bigint; offset: bigint } {
  if (replay === 'screen' || replay === 'none') return { replay: replays.indexOf(replay), life: 0n, offset: 0n };
  if ('last' in replay) return { replay: replays.indexOf('last'), life: 0n, offset: BigInt(replay.last) };
  return { replay: replays.indexOf('from'), life: replay.life, offset: replay.from };
}

/** A console of a list. */
export interface ListedConsole {
  readonly name: string;
  readonly line: string;
  readonly state: string;
  /** GID of whoever writes. */
  readonly writer: bigint | null;
  readonly viewers: number;
  readonly size: TerminalSize;
  /** Positions of the oldest byte that is kept, and of the next one. */
  readonly start: bigint;
  readonly end: bigint;
}

/** What `listConsoles` takes. */
export interface ListConsolesOptions {
  port?: number;
  key?: string | Uint8Array;
}

/**
 * The consoles that a function serves.
 * @throws IsmioError ERR_ISMIO_CONSOLE, and what `ism.connect` throws
 */
export async function listConsoles(ism: Ism, gid: bigint, options: ListConsolesOptions = {}): Promise<ListedConsole[]> {
  checkOptions(options, ['port', 'key'], 'listConsoles');
  const { port = defaultPort, key } = options;
  const conversation = await Conversation.open(ism, gid, checkPort(port), { stream: {}, key: checkKey(key) });
  try {
    return (await conversation.list()).map((item) => {
      const { name, line, viewers, writer, start, end, columns, rows, xPixels, yPixels } = item;
      const size = { columns, rows, xPixels, yPixels };
      const state = states[item.state] ?? `state ${item.state}`;
      return { name, line, state, writer: writer === 0n ? null : writer, viewers, size, start, end };
    });
  } finally {
    conversation.close();
  }
}
