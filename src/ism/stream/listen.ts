// The end that listens. Whoever asks costs memory before it has shown anything, so those that are half open are few.
import { EventEmitter } from 'node:events';
import { checkBetween } from '../../support/check.js';
import { IsmioError, shown, typeError } from '../../support/errors.js';
import { checkAble, helloOf } from './connect.js';
import type { StreamDmb, StreamDriver } from './driver.js';
import { type Hello, writeHello } from './hello.js';
import { ringOffset } from './layout.js';
import { Opening } from './opening.js';
import { checkPort, checkStreamOptions, type StreamOptions, type StreamSettings } from './options.js';
import type { Reason } from './reasons.js';
import { Session } from './session.js';
import { Station, type StreamCounters } from './station.js';
import { IsmStream } from './stream.js';

/** What `listen` takes. */
export interface ListenOptions extends StreamOptions {
  /** Streams that are half open at a time, and those of one function among them. Defaults 64 and 16. */
  halfOpen?: number;
  halfOpenPerPeer?: number;
  /** Streams that are open at a time. Default 1024; a function has 1888 DMBs. */
  maxStreams?: number;
  /** Streams of one function among them: one peer leaves room for others. Default 512. */
  maxStreamsPerPeer?: number;
}

const limits = { halfOpen: 64, halfOpenPerPeer: 16, maxStreams: 1024, maxStreamsPerPeer: 512 };
type ListenSettings = StreamSettings & typeof limits;

/** What a listener emits. */
export interface IsmListenerEvents {
  /** A stream was opened by a peer. */
  stream: [stream: IsmStream];
  close: [];
}

/** Made by `ism.listen()`. */
export class IsmListener extends EventEmitter<IsmListenerEvents> {
  readonly port: number;
  readonly #station: Station;
  readonly #settings: ListenSettings;
  readonly #openings = new Set<Opening>();
  #streams = 0;
  /** Of each function that has any. */
  readonly #streamsOf = new Map<bigint, number>();
  #isClosed = false;

  /** @internal */
  constructor(station: Station, port: number, settings: ListenSettings) {
    super();
    this.port = port;
    this.#station = station;
    this.#settings = settings;
    station.listen(port, { asked: (gid, token) => this.#asked(gid, token), close: () => this.close() });
  }

  /** Streams that are open. */
  get streams(): number {
    return this.#streams;
  }

  /** What came to nothing at this function, at all of its ports. */
  get counters(): Readonly<StreamCounters> {
    return { ...this.#station.counters };
  }

  /** Nobody is listened to any more. Streams that are open stay. Again: does nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#station.unlisten(this.port);
    const error = new IsmioError('ERR_ISMIO_CLOSED', `the listener at port ${this.port} was closed`);
    for (const opening of this.#openings) opening.die(error);
    this.emit('close');
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #asked(gid: bigint, token: bigint): Reason | null {
    const ofPeer = [...this.#openings].filter((opening) => opening.gid === gid).length;
    const { halfOpen, halfOpenPerPeer, maxStreams, maxStreamsPerPeer } = this.#settings;
    if (ofPeer >= halfOpenPerPeer || ofPeer + (this.#streamsOf.get(gid) ?? 0) >= maxStreamsPerPeer) return 'peerFull';
    if (this.#openings.size >= halfOpen || this.#streams + this.#openings.size >= maxStreams) return 'full';
    const release = this.#station.claim(token);
    if (release === null) {
      this.#station.counters.wrong++; // nothing is moved there but by the stream that does, not even a refusal
      return null;
    }
    const dmb = this.#register(gid);
    if (dmb === null) {
      release();
      return 'full';
    }
    this.#answer(gid, token, dmb, release);
    return null;
  }

  /** Where the function has no more memory for it, the peer is told that it is full. */
  #register(gid: bigint): StreamDmb | null {
    try {
      return this.#station.driver.registerDmb({ length: ringOffset + this.#settings.ring, peer: gid });
    } catch {
      return null;
    }
  }

  #answer(gid: bigint, token: bigint, dmb: StreamDmb, release: () => void): void {
    const { timeout, mode } = this.#settings;
    const own = helloOf(this.#settings, this.port, dmb, 0);
    const known = this.#station.know(gid, token);
    const forget = () => {
      known();
      release();
    };
    const drop = () => {
      this.#end(opening);
      forget();
      dmb.unregister();
    };
    const counters = this.#station.counters;
    const opening: Opening = new Opening(
      gid,
      dmb,
      { port: this.port, mode, answers: own.epoch, token },
      {
        hello: (peer) => this.#open({ gid, dmb, own, peer, opening, forget }),
        refused: drop,
        wrong: () => {
          counters.wrong++;
          drop();
        },
        expired: () => {
          counters.expired++;
          drop();
        },
        died: drop,
      },
      this.#station.now(),
      timeout,
    );
    this.#openings.add(opening);
    this.#station.begin(opening);
    if (this.#station.moveHello(token, writeHello(own)) === null) return;
    opening.end();
    drop();
  }

  #open({ gid, dmb, own, peer, opening, forget }: Opened): Session {
    this.#end(opening);
    const station = this.#station;
    const session = new Session({
      driver: station.driver,
      clock: station,
      dmb,
      gid,
      own,
      peer,
      closed: () => {
        this.#count(gid, -1);
        forget();
      },
    });
    station.begin(session);
    this.#count(gid, 1);
    const stream = new IsmStream({ session, settings: this.#settings, port: this.port, peer });
    process.nextTick(() => this.emit('stream', stream)); // what a handler throws is its program's affair
    return session;
  }

  #count(gid: bigint, more: number): void {
    const ofPeer = (this.#streamsOf.get(gid) ?? 0) + more;
    if (ofPeer === 0) this.#streamsOf.delete(gid);
    else this.#streamsOf.set(gid, ofPeer);
    this.#streams += more;
  }

  #end(opening: Opening): void {
    this.#openings.delete(opening);
    this.#station.ended(opening);
  }
}

interface Opened {
  readonly gid: bigint;
  readonly dmb: StreamDmb;
  readonly own: Hello;
  readonly peer: Hello;
  readonly opening: Opening;
  readonly forget: () => void;
}

/**
 * Listens at a port for streams; `handler` gets each, as a listener of the event 'stream' does.
 * @throws IsmioError ERR_ISMIO_IN_USE where somebody listens at this port of the function
 */
export function listen(
  driver: StreamDriver,
  port: number,
  options: ListenOptions | ((stream: IsmStream) => void) = {},
  handler?: (stream: IsmStream) => void,
): IsmListener {
  const [given, told] = typeof options === 'function' ? [{}, options] : [options, handler];
  if (told !== undefined && typeof told !== 'function') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `the handler must be a function, not ${shown(told)}`, { handler: told });
  }
  checkAble(driver);
  const settings = checkStreamOptions(given, limits, 'ism.listen');
  for (const name of Object.keys(limits) as (keyof typeof limits)[]) checkBetween(settings[name], name, 1, 1888);
  const listener = new IsmListener(Station.of(driver), checkPort(port), settings);
  if (told !== undefined) listener.on('stream', told);
  return listener;
}
