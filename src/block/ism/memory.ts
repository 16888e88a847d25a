// The memory of a session: this end's, which the peer moves into, and the ways into the peer's, which this end cannot read.
//
//   heads:  page 0 | page 1 | .. | page slots-1 | the array of answers (an initiator's alone)
//   data:   slot 0 .. n-1 | slot n .. | ..      each DMB has as many slots as fit into 1 MiB
import type { Dmb } from '../../ism/driver/dmb.js';
import type { Ism } from '../../ism/driver/ism.js';
import type { MoveQueue } from '../../ism/driver/moves.js';
import { colour, type StreamWay } from '../../ism/stream/driver.js';
import { Station } from '../../ism/stream/station.js';
import { broken, dmbBytes, entryBytes, pageBytes } from './wire.js';

/** What both ends agree on. */
export interface Layout {
  readonly slots: number;
  readonly ioBytes: number;
}

/** How many DMBs the data of a session take. */
export function dataDmbs({ slots, ioBytes }: Layout): number {
  return Math.ceil(slots / (dmbBytes / ioBytes));
}

/** This end's. */
export class OwnMemory {
  readonly heads: Uint8Array;
  readonly view: DataView;
  /** Where the array of answers begins. */
  readonly array: number;
  readonly #layout: Layout;
  readonly #heads: Dmb;
  readonly #data: Dmb[] = [];

  /** @throws what `registerDmb` throws; nothing is registered then */
  constructor(ism: Ism, peer: bigint, layout: Layout, signalled: () => void) {
    this.#layout = layout;
    const { slots, ioBytes } = layout;
    this.array = slots * pageBytes;
    this.#heads = ism.registerDmb({ length: this.array + pageBytes, peer });
    try {
      const most = dmbBytes / ioBytes;
      for (let left = slots; left > 0; left -= most) {
        this.#data.push(ism.registerDmb({ length: Math.min(left, most) * ioBytes, peer }));
      }
    } catch (error) {
      this.close();
      throw error;
    }
    this.heads = this.#heads.memory;
    this.view = new DataView(this.heads.buffer, this.heads.byteOffset, this.heads.length);
    this.#heads.on('signal', signalled);
  }

  get tokens(): { readonly heads: bigint; readonly data: readonly bigint[] } {
    return { heads: this.#heads.token, data: this.#data.map(({ token }) => token) };
  }

  /** The beginning of a slot's data. */
  data(slot: number, length: number): Uint8Array {
    const { ioBytes } = this.#layout;
    const most = dmbBytes / ioBytes;
    const { memory } = this.#data[Math.floor(slot / most)] as Dmb;
    const start = (slot % most) * ioBytes;
    return memory.subarray(start, start + length);
  }

  /** When this returns, nothing that the peer moves reaches it any more. Again: does nothing. */
  close(): void {
    for (const dmb of [this.#heads, ...this.#data]) dmb.unregister();
  }
}

/** A DMB of the peer. */
interface Reached {
  readonly token: bigint;
  readonly way: StreamWay;
}

/** More than the longest move of data. */
const queueBytes = 2 ** 21;

/**
 * The peer's. Moves through the fabric wait for `flush`, since many that are made together cost one call, or one exchange on a
 * socket. What has to be there before something else is moved is flushed before: of moves that are made together, one may fail and the
 * next be made all the same.
 */
export class PeerMemory {
  /** Store blocks that went there. */
  moves = 0;
  /** Moves that signalled. */
  signals = 0;
  readonly #layout: Layout;
  readonly #forget: (() => void)[] = [];
  readonly #heads: Reached;
  readonly #data: Reached[];
  /** Null where every move goes by a lane. */
  readonly #queue: MoveQueue | null;

  /** @throws IsmioError ERR_ISMIO_BLOCK where it names memory that something else of this function moves into */
  constructor(ism: Ism, tokens: { readonly heads: bigint; readonly data: readonly bigint[] }, layout: Layout) {
    this.#layout = layout;
    try {
      this.#heads = this.#reach(ism, tokens.heads);
      this.#data = tokens.data.map((token) => this.#reach(ism, token));
      const areLanes = [this.#heads, ...this.#data].every(({ way }) => way.isLane);
      this.#queue = areLanes ? null : ism.queue({ bytes: queueBytes });
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** The head of a slot's page, with what is behind it. */
  head(slot: number, bytes: Uint8Array, signals: boolean): void {
    this.#move(this.#heads, slot * pageBytes, bytes, signals);
  }

  /** A part of a slot's data. */
  data(slot: number, at: number, bytes: Uint8Array): void {
    const { ioBytes } = this.#layout;
    const most = dmbBytes / ioBytes;
    const reached = this.#data[Math.floor(slot / most)] as Reached;
    this.#move(reached, (slot % most) * ioBytes + at, bytes, false);
  }

  /** Answers of the array from a slot on. */
  answers(slot: number, bytes: Uint8Array): void {
    this.#move(this.#heads, this.#layout.slots * pageBytes + slot * entryBytes, bytes, true);
  }

  /** What was moved is there when it returns. @throws IsmioError where a move failed */
  flush(): void {
    if (this.#queue !== null && this.#queue.queued > 0) this.#queue.submit();
  }

  close(): void {
    this.#queue?.close();
    this.#release();
  }

  #reach(ism: Ism, token: bigint): Reached {
    const forget = Station.of(ism).claim(token);
    if (forget === null) {
      throw broken('it names memory that another stream or disk of this function moves into', { token });
    }
    this.#forget.push(forget);
    const way = ism.way(token);
    this.#forget.push(() => way.close());
    return { token, way };
  }

  #move({ token, way }: Reached, offset: number, bytes: Uint8Array, signals: boolean): void {
    this.moves += Math.floor((offset + bytes.length - 1) / pageBytes) - Math.floor(offset / pageBytes) + 1;
    if (signals) this.signals++;
    const options = signals ? colour : {};
    if (this.#queue === null) way.move(offset, bytes, options);
    else while (!this.#queue.move(token, offset, bytes, options)) this.#queue.submit();
  }

  #release(): void {
    for (const forget of this.#forget) forget();
  }
}
