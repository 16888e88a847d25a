// What is to be sent to one client. Output stays in the history until the client has room for it, so nobody waits for a client
// that does not read, and nothing grows: of what else it is to know, the last of each kind waits, and a few notices.
import type { IsmStream } from '../ism/stream/stream.js';
import { encode, type ValuesOf } from '../ism/talk/messages.js';
import type { History } from './history.js';
import { type FromServer, fromServer, longestData } from './wire.js';

/** Records of output that may be on their way at a time. */
const mostInFlight = 2;
const mostNotices = 16;

export class Outbox {
  readonly #stream: IsmStream;
  readonly #history: History;
  readonly #waiting = new Map<string, Buffer>();
  #notices: string[] = [];
  #leftOut = 0;
  #inFlight = 0;
  /** The position of the next byte of output for it, and null where it is to have none yet. */
  #position: number | null = null;
  /** What was said when the command ended: its exit comes behind that, and before what the next one says. */
  #exitAt = 0;
  #whenEmpty: (() => void) | null = null;
  #isHeld = true;

  constructor(stream: IsmStream, history: History) {
    this.#stream = stream;
    this.#history = history;
  }

  /** The client was welcomed: until now nothing was sent. */
  open(): void {
    this.#isHeld = false;
    this.send();
  }

  /** Output follows from here on. */
  begin(position: number): void {
    this.#position = position;
    this.send();
  }

  /** The last of a kind replaces one that waits. */
  tell<Name extends keyof FromServer & string>(name: Name, values: ValuesOf<FromServer[Name]['fields']>): void {
    if (name === 'exit') this.#exitAt = this.#history.end;
    this.#waiting.set(name, encode<FromServer, Name>(fromServer, name, values));
    this.send();
  }

  notice(text: string): void {
    if (this.#notices.length < mostNotices) this.#notices.push(text);
    else this.#leftOut++;
    this.send();
  }

  /** Sends what there is and what the client has room for. */
  send(): void {
    if (this.#isHeld) return;
    while (this.#inFlight < mostInFlight && !this.#stream.destroyed && this.#stream.writable) {
      const record = this.#next();
      if (record === null) break;
      this.#inFlight++;
      this.#stream.write(record, () => {
        this.#inFlight--;
        this.send();
      });
    }
    if (this.#inFlight === 0 && this.#waiting.size === 0 && this.#position === this.#history.end) this.#emptied();
  }

  /** Output that is not sent by now is not sent any more: a gap says how much, and what else waits comes behind it. */
  giveUp(): void {
    if (!this.#stream.writable) return;
    const { end } = this.#history;
    if (this.#hasOutput()) this.#stream.write(this.#gap(this.#position as number, end));
    for (const record of this.#waiting.values()) this.#stream.write(record);
    this.#waiting.clear();
  }

  /** Calls `told` once all that is to be said was said. */
  onceEmpty(told: () => void): void {
    this.#whenEmpty = told;
    this.send();
  }

  #emptied(): void {
    const told = this.#whenEmpty;
    this.#whenEmpty = null;
    told?.();
  }

  #next(): Buffer | null {
    for (const [name, record] of this.#waiting) {
      if (name === 'exit' && (this.#position === null || this.#position < this.#exitAt)) continue; // behind the last words
      this.#waiting.delete(name);
      return record;
    }
    const notice = this.#nextNotice();
    if (notice !== null) return encode<FromServer, 'notice'>(fromServer, 'notice', { text: notice });
    return this.#hasOutput() ? this.#output(this.#position as number) : null;
  }

  #nextNotice(): string | null {
    const first = this.#notices.shift();
    if (first !== undefined) return first;
    if (this.#leftOut === 0) return null;
    const text = `${this.#leftOut} more notices were left out`;
    this.#leftOut = 0;
    return text;
  }

  #hasOutput(): boolean {
    return this.#position !== null && this.#position < this.#history.end;
  }

  #output(position: number): Buffer {
    const { start } = this.#history;
    const end = this.#waiting.has('exit') ? this.#exitAt : this.#history.end;
    if (position < start) return this.#gap(position, start);
    const record = Buffer.allocUnsafe(9 + Math.min(longestData, end - position));
    record[0] = fromServer.data.number;
    record.writeBigUInt64BE(BigInt(position), 1);
    this.#position = position + this.#history.copy(position, record.subarray(9));
    return record;
  }

  #gap(position: number, end: number): Buffer {
    this.#position = end;
    const gap = { from: BigInt(position), bytes: BigInt(end - position) };
    return encode<FromServer, 'gap'>(fromServer, 'gap', gap);
  }
}
