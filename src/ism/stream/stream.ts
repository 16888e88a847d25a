// The stream that programs have: a Duplex over an end. What is written is taken at once while the peer has room for it, and
// goes out behind the tick; the callback of what has no room waits until it was placed.
import { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers';
import { type BytesLike, bytesOf, checkCallback, detached } from '../../support/check.js';
import { IsmioError, rangeError, shown, typeError } from '../../support/errors.js';
import type { Hello } from './hello.js';
import type { StreamSettings } from './options.js';
import { breach } from './reasons.js';
import { headerOf, Records } from './records.js';
import type { Owner, Session } from './session.js';

type Done = (error?: Error | null) => void;

/** Bytes that one stream takes in one turn of the event loop, so that others come to theirs. */
const turnBytes = 256 * 1024;
/** The largest piece of them. */
const pieceBytes = 64 * 1024;

/** Memory of the program's that bytes are read into, and who is told. */
interface Target {
  readonly bytes: Uint8Array;
  readonly told: (part: Uint8Array) => void;
}

/** What is known of a stream that was opened. */
export interface Opened {
  readonly session: Session;
  readonly settings: StreamSettings;
  readonly port: number;
  readonly peer: Hello;
}

/** A stream of bytes or of records between two ISM functions. It ends, fails and is destroyed as a `net.Socket` is. */
export class IsmStream extends Duplex {
  /** The GID of the function at the other end. */
  readonly remoteGid: bigint;
  /** The port that was listened at. */
  readonly port: number;
  readonly #session: Session;
  readonly #peerLimit: number;
  readonly #records: Records | null;
  /** The callback of what has no room yet, and of the end. */
  #waiting: Done | null = null;
  #target: Target | null = null;
  #isWanted = false;
  /** `pause` holds what is read into memory. */
  #isHeld = false;
  #hasEnded = false;
  #isNew = true;
  #bytesRead = 0;
  #bytesWritten = 0;

  /** @internal */
  constructor({ session, settings, port, peer }: Opened) {
    const objectMode = settings.mode === 'messages';
    const writableHighWaterMark = objectMode ? undefined : peer.ring;
    super({ objectMode, writableHighWaterMark, allowHalfOpen: settings.allowHalfOpen, autoDestroy: true });
    this.remoteGid = session.gid;
    this.port = port;
    this.#session = session;
    this.#peerLimit = peer.recordLimit;
    this.#records = objectMode ? new Records(settings.recordLimit) : null;
    setImmediate(() => {
      this.#isNew = false;
    });
    session.own(this.#owner());
  }

  /** The bytes that the peer sent and that came out of this stream's memory, with the lengths of records. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** The bytes that were taken to be sent, with the lengths of records. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Wake-ups that no signal brought, but the slow timer: more than 0 says that a signal was lost. */
  get rescued(): number {
    return this.#session.end.rescued;
  }

  /**
   * Reads into one memory from now on, again and again: no 'data' is told, and nothing is allocated for what comes. `told` is
   * given the part of `buffer` that was filled, which is good until it returns. The stream flows; `pause` and `resume` hold it.
   * A buffer that was transferred meanwhile fails the stream, with ERR_ISMIO_DETACHED.
   * @throws TypeError ERR_ISMIO_ARGUMENT_TYPE, RangeError ERR_ISMIO_OPTION where the buffer is empty, the stream one of
   * records or of text, or somebody listens to 'data'
   */
  readInto(buffer: BytesLike, told: (part: Uint8Array) => void): void {
    const bytes = bytesOf(buffer, 'target');
    checkCallback(told, 'told');
    if (bytes.length === 0)
      throw rangeError('ERR_ISMIO_OPTION', 'the buffer must have at least one byte', { length: 0 });
    if (this.#records !== null) {
      throw rangeError('ERR_ISMIO_OPTION', "records come whole: listen to 'data'", { mode: 'messages' });
    }
    if (this.readableEncoding !== null || this.listenerCount('data') > 0) {
      const text =
        "what comes goes into a buffer or to who listens to 'data', as bytes: take the listener or the encoding away";
      throw rangeError('ERR_ISMIO_OPTION', text, { encoding: this.readableEncoding });
    }
    this.#target = { bytes, told };
    this.resume();
  }

  override pause(): this {
    this.#isHeld = true;
    if (this.#target !== null) this.#isWanted = false;
    return super.pause();
  }

  override resume(): this {
    this.#isHeld = false;
    if (this.#target === null) return super.resume();
    this.#tellBuffered(this.#target);
    if (this.#isHeld || this.destroyed) return this;
    super.resume();
    this._read();
    return this;
  }

  /** What was there before anybody said where it goes. */
  #tellBuffered({ bytes, told }: Target): void {
    while (this.readableLength > 0 && !this.#isHeld && !this.destroyed) {
      if (bytes.length === 0) {
        this.destroy(detached('target'));
        return;
      }
      const part = this.read(Math.min(bytes.length, this.readableLength)) as Uint8Array;
      bytes.set(part);
      told(bytes.subarray(0, part.length));
    }
  }

  override _read(): void {
    this.#isWanted = true;
    this.#session.serveLater();
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, done: Done): void {
    this.#writeAll([chunk], done);
  }

  override _writev(chunks: { chunk: unknown }[], done: Done): void {
    this.#writeAll(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    const { end } = this.#session;
    end.finish();
    this.#session.flushSoon();
    if (end.queued === 0) done();
    else this.#waiting = done;
  }

  override _destroy(error: Error | null, done: Done): void {
    const { end } = this.#session;
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#isWanted = false;
    // What both programs have ended goes on until both know it; anything else is given up here.
    if (!(this.#hasEnded && this.writableFinished)) this.#session.abort(error === null ? 'destroyed' : 'failed');
    waiting?.(error ?? end.error ?? destroyed());
    done(error);
  }

  #owner(): Owner {
    return {
      pull: () => this.#pull(),
      placed: () => this.#placed(),
      over: (error) => {
        // Whoever is given the stream in this turn has to be able to listen first.
        if (error !== null && this.#isNew) setImmediate(() => this.destroy(error));
        else if (error !== null) this.destroy(error);
      },
    };
  }

  #writeAll(chunks: readonly unknown[], done: Done): void {
    const { end } = this.#session;
    try {
      for (const chunk of chunks) this.#offer(chunk);
    } catch (thrown) {
      done(thrown as Error);
      return;
    }
    this.#session.flushSoon();
    if (end.room >= 0) done();
    else this.#waiting = done;
  }

  #offer(chunk: unknown): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!(bytes instanceof Uint8Array)) {
      const text = `a record must be a Uint8Array or a string, not ${shown(chunk)}`;
      throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { chunk });
    }
    if (this.#records !== null) this.#count(headerOf(bytes, this.#peerLimit));
    this.#count(bytes);
  }

  #count(bytes: Uint8Array): void {
    this.#session.end.offer(bytes);
    this.#bytesWritten += bytes.length;
  }

  #placed(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.();
  }

  /** Takes what came while it is wanted, but no more than a turn's share. */
  #pull(): boolean {
    const { end } = this.#session;
    const share = this.#bytesRead + turnBytes;
    while (this.#isWanted && end.available > 0 && this.#bytesRead < share) this.#take();
    if (end.atEnd && !this.#hasEnded) this.#end();
    end.reading = this.#isWanted;
    return this.#isWanted && end.available > 0;
  }

  #take(): void {
    const before = this.#session.end.available;
    if (this.#target !== null) {
      this.#fill(this.#target);
      return;
    }
    const taken = this.#records === null ? this.#piece() : this.#record(this.#records);
    this.#bytesRead += before - this.#session.end.available;
    if (taken !== null) this.#isWanted = this.push(taken);
  }

  #fill({ bytes, told }: Target): void {
    const count = this.#session.end.read(bytes.length > pieceBytes ? bytes.subarray(0, pieceBytes) : bytes);
    this.#bytesRead += count;
    if (count > 0) told(bytes.subarray(0, count));
    else this.destroy(detached('target'));
  }

  #record(records: Records): Buffer | null {
    const taken = records.read(this.#session.end);
    if (taken === null || Buffer.isBuffer(taken)) return taken;
    this.#broken(taken);
    return null;
  }

  #piece(): Buffer {
    const { end } = this.#session;
    const piece = Buffer.allocUnsafe(Math.min(end.available, pieceBytes));
    end.read(piece);
    return piece;
  }

  #end(): void {
    if (this.#records?.isBetween === false) {
      this.#broken(breach('record', 'the stream ended in the middle of a record'));
      return;
    }
    this.#hasEnded = true;
    this.push(null);
  }

  /** The peer's records break their rule: it is told, and this end fails. */
  #broken(error: IsmioError): void {
    this.#isWanted = false;
    this.#session.abort('record', error);
    this.destroy(error);
  }
}

function destroyed(): Error {
  return new IsmioError('ERR_ISMIO_CLOSED', 'the stream was destroyed before this was sent');
}
