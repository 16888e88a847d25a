// One BAR as its handlers answer it: widths and byte order on their way in and out, blocks where there is no handler for them,
// and the MSI-X table and pending bits that lie in it.
import type { ByteOrder } from '../access/region-like.js';
import { IsmioError, shown } from '../support/errors.js';
import type { CheckedBar } from './check.js';
import type { Handlers, Loaded, Width } from './description.js';
import type { MsixTable } from './msix.js';

/** What answers an access later. */
export type Later<Value> = Value | Promise<Value>;

/** Words that an access moves, in the order of their addresses. */
export const word: Uint8Array = new Uint8Array(8);
const view = new DataView(word.buffer);

type Kept = { readonly value: unknown } | { readonly error: unknown } | null;

const largest = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;

export class Bar {
  readonly index: number;
  readonly order: ByteOrder;
  readonly #handlers: Handlers;
  readonly #little: boolean;
  /** [from, to) of what no handler is asked for: memory, MSI-X. */
  readonly #others: readonly (readonly [from: number, to: number])[];
  readonly #msix: MsixTable | null;
  /** What a handler answered that was called without a crossing, and did not end the access. */
  #kept: Kept = null;

  constructor(checked: CheckedBar, msix: MsixTable | null) {
    this.index = checked.index;
    this.order = checked.order;
    this.#little = checked.order === 'le';
    this.#handlers = checked.handlers;
    this.#msix = msix;
    this.#others = [
      ...checked.areas.map(({ offset, length }) => [offset, offset + length] as const),
      ...(msix?.places ?? []),
    ];
  }

  /** Whether JavaScript has anything to answer here: else what is no memory is refused without asking. */
  get answers(): boolean {
    return this.#msix !== null || Object.keys(this.#handlers).length > 0;
  }

  /** Whether an access goes to a handler, and to nothing else. */
  handled(offset: number, length: number): boolean {
    return !this.#others.some(([from, to]) => offset < to && offset + length > from);
  }

  /** The value of a load whose handler gives it at once; else the answer is kept for the call that follows. */
  loadHere(offset: number, width: Width): Loaded | undefined {
    const { load } = this.#handlers;
    if (load === undefined) return undefined;
    try {
      const value = load(offset, width);
      if (fits(value, width)) return value;
      this.#kept = { value };
    } catch (error) {
      this.#kept = { error };
    }
    return undefined;
  }

  /** Whether the handler took the value at once; else its answer is kept for the call that follows. */
  storeHere(offset: number, value: number | bigint, width: Width): boolean {
    const { store } = this.#handlers;
    if (store === undefined) return false;
    try {
      const taken = store(offset, value, width);
      if (!(taken instanceof Promise)) return true;
      this.#kept = { value: taken };
    } catch (error) {
      this.#kept = { error };
    }
    return false;
  }

  /** Behind the call that was to take it: that may have ended before it came to the handler. */
  drop(): void {
    this.#kept = null;
  }

  /** The value of a load, as its handler gives it. */
  value(offset: number, width: Width): Later<Loaded> {
    if (this.#kept !== null) return this.#takeKept() as Later<Loaded>;
    const { load } = this.#handlers;
    if (load === undefined) throw this.#unanswered('load', offset, width);
    return load(offset, width);
  }

  /** Hands a value to the handler of stores. */
  take(offset: number, value: number | bigint, width: Width): Later<void> {
    if (this.#kept !== null) return this.#takeKept() as Later<void>;
    const { store } = this.#handlers;
    if (store === undefined) throw this.#unanswered('store', offset, width);
    return store(offset, value, width);
  }

  /** Loads into the word; where that comes later, a promise of a copy of it. */
  load(offset: number, width: Width): Later<unknown> {
    if (this.#msix !== null && !this.handled(offset, width)) return this.#msix.load(offset, word.subarray(0, width));
    const value = this.value(offset, width);
    if (!(value instanceof Promise)) return this.#put(value, offset, width);
    return value.then((settled) => {
      this.#put(settled, offset, width);
      return word.slice();
    });
  }

  /** Stores what is in the word. */
  store(offset: number, width: Width): Later<void> {
    if (this.#msix !== null && !this.handled(offset, width)) return this.#msix.store(offset, word.subarray(0, width));
    return this.take(offset, this.#get(view, 0, width), width);
  }

  storeBlock(offset: number, bytes: Uint8Array): Later<void> {
    const { storeBlock } = this.#handlers;
    // A block that reaches into MSI-X may reach beyond it: each store of it goes where it belongs.
    const apart = storeBlock === undefined || (this.#msix !== null && !this.handled(offset, bytes.length));
    return apart ? this.#cut(offset, bytes, 0) : storeBlock(offset, bytes);
  }

  #takeKept(): unknown {
    const kept = this.#kept as NonNullable<Kept>;
    this.#kept = null;
    if ('error' in kept) throw kept.error;
    return kept.value;
  }

  /** As vfio-pci cuts a write (Linux drivers/vfio/pci/vfio_pci_rdwr.c): the widest aligned store that is left each time. */
  #cut(offset: number, bytes: Uint8Array, from: number): Later<void> {
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = from; at < bytes.length; ) {
      const width = widest(offset + at, bytes.length - at);
      const taken = this.#storeOne(offset + at, words, at, width);
      at += width;
      if (taken instanceof Promise) return taken.then(() => this.#cut(offset, bytes, at));
    }
  }

  #storeOne(offset: number, words: DataView, at: number, width: Width): Later<void> {
    if (this.#msix === null || this.handled(offset, width))
      return this.take(offset, this.#get(words, at, width), width);
    this.#msix.store(offset, new Uint8Array(words.buffer, words.byteOffset + at, width));
  }

  #get(words: DataView, at: number, width: Width): number | bigint {
    if (width === 8) return words.getBigUint64(at, this.#little);
    if (width === 4) return words.getUint32(at, this.#little);
    return width === 2 ? words.getUint16(at, this.#little) : words.getUint8(at);
  }

  #put(value: Loaded, offset: number, width: Width): void {
    if (!fits(value, width)) throw this.#badValue(value, offset, width);
    if (width === 8) view.setBigUint64(0, BigInt(value), this.#little);
    else if (width === 4) view.setUint32(0, value as number, this.#little);
    else if (width === 2) view.setUint16(0, value as number, this.#little);
    else view.setUint8(0, value as number);
  }

  #unanswered(what: string, offset: number, width: number): IsmioError {
    const text = `BAR ${this.index} has no handler for a ${what}: of ${width} bytes at offset ${offset}`;
    return new IsmioError('ERR_ISMIO_DEVICE', text, { offset, length: width });
  }

  #badValue(value: unknown, offset: number, width: Width): IsmioError {
    const text = `the handler of BAR ${this.index} gave ${shown(value)} for a load of ${width} bytes at offset ${offset}`;
    return new IsmioError('ERR_ISMIO_VALUE', text, { value, offset, length: width });
  }
}

const wide = 2n ** 64n;

/** Whether a handler's value is one of so many bytes. */
function fits(value: Later<Loaded>, width: Width): value is Loaded {
  if (typeof value === 'bigint') return width === 8 && value >= 0n && value < wide;
  return Number.isSafeInteger(value) && (value as number) >= 0 && (width === 8 || (value as number) <= largest[width]);
}

/** Of the widths, the widest that is aligned and not longer than what is left. */
export function widest(offset: number, left: number): Width {
  for (const width of [8, 4, 2] as const) if (offset % width === 0 && width <= left) return width;
  return 1;
}
