// What the function writes into its driver's memory: signal bits and masks, and the event queue. Bits are cleared before what they
// stand for is looked at, so that nothing is missed [Linux drivers/s390/net/ism_drv.c, ism_handle_irq].
import { eventEntry, eventTypes, pageBytes, queue, readFields, sba, type ValuesOf } from '../wire.js';
import type { IsmEvent } from './options.js';

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const types: Record<number, IsmEvent['type']> = Object.fromEntries(
  Object.entries(eventTypes).map(([name, type]) => [type, name as IsmEvent['type']]),
);

/** Who is told of what came. */
export interface Noticed {
  /** A DMB's bit was up; `mask` has a bit for each signal that was set, bit 0 the least significant. */
  signalled(index: number, mask: number): void;
  event(event: IsmEvent): void;
  /** What the function wrote cannot be. */
  broken(what: string): void;
}

/** The signal bits area and the event queue, in a page each of shared memory. */
export class Notices {
  readonly #bits: Uint8Array;
  readonly #words: Int32Array;
  readonly #masks: Uint16Array;
  readonly #queue: Uint8Array;
  readonly #queueView: DataView;
  /** The entry that was read last: what the header says when no other was written behind it, less one. */
  #last = -1;
  #lastTime = 0n;

  constructor(bits: Uint8Array, events: Uint8Array) {
    this.#bits = bits;
    this.#words = new Int32Array(bits.buffer, bits.byteOffset + sba.bitsAt, (sba.masksAt - sba.bitsAt) / 4);
    this.#masks = new Uint16Array(bits.buffer, bits.byteOffset + sba.masksAt, (pageBytes - sba.masksAt) / 2);
    this.#queue = events;
    this.#queueView = new DataView(events.buffer, events.byteOffset, queue.bytes);
  }

  /** Whether there is anything to look at. */
  get raised(): boolean {
    return Atomics.load(this.#bits, 0) !== 0;
  }

  /** Tells all that there is. */
  take(told: Noticed): void {
    const raised = Atomics.and(this.#bits, 0, ~sba.summary & 0xff);
    if ((raised & sba.summary) !== 0) this.#takeSignals(told);
    if ((raised & sba.event) === 0) return;
    Atomics.and(this.#bits, 0, ~sba.event & 0xff);
    this.#takeEvents(told);
  }

  /** Forgets what came for a DMB: the next one of this index begins without. */
  clear(index: number): void {
    Atomics.and(this.#bits, sba.bitsAt + (index >> 3), ~(0x80 >> (index & 7)) & 0xff);
    Atomics.store(this.#masks, index, 0);
  }

  #takeSignals(told: Noticed): void {
    for (let word = 0; word < this.#words.length; word++) {
      if (Atomics.load(this.#words, word) === 0) continue;
      for (let byte = 4 * word; byte < 4 * word + 4; byte++) this.#takeByte(byte, told);
    }
  }

  #takeByte(byte: number, told: Noticed): void {
    const bits = Atomics.exchange(this.#bits, sba.bitsAt + byte, 0);
    for (let bit = 0; bits !== 0 && bit < 8; bit++) {
      if ((bits & (0x80 >> bit)) === 0) continue;
      const index = 8 * byte + bit;
      const mask = Atomics.exchange(this.#masks, index, 0);
      told.signalled(index, littleEndian ? ((mask & 0xff) << 8) | (mask >> 8) : mask);
    }
  }

  /** The index counts from 1 to 15: where it is what it was, and the entry is another, it has gone round. */
  #takeEvents(told: Noticed): void {
    const index = Atomics.load(this.#queue, 7); // its last byte is all of it
    if (index === 0 && this.#last < 0) return;
    if (index === 0 || index > queue.entries) {
      told.broken(`its event queue is at entry ${index} of ${queue.entries}`);
      return;
    }
    const ahead = (index - 1 - this.#last + queue.entries) % queue.entries;
    const round = ahead === 0 && this.#last >= 0 && this.#entry(this.#last).time !== this.#lastTime;
    for (let left = round ? queue.entries : this.#last < 0 ? index : ahead; left > 0; left--) {
      this.#last = (this.#last + 1) % queue.entries;
      const { type, code, tok, time, info } = this.#entry(this.#last);
      this.#lastTime = time;
      told.event({ type: types[type] ?? type, code, token: tok, time, info });
    }
  }

  #entry(number: number): ValuesOf<typeof eventEntry> {
    const place = this.#queueView.byteOffset + queue.headerBytes + number * queue.entryBytes;
    return readFields(new DataView(this.#queueView.buffer, place, queue.entryBytes), eventEntry);
  }
}
