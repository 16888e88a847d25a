// What of a region is accessed without a call: by one atomic load or store of a typed array over the mapping, which is one
// access of exactly that width (docs/decisions/0035).
import { endianness } from 'node:os';
import { native } from '../addon/binding.js';
import type { NativeInPlace } from '../addon/regions.js';
import { runtime } from '../support/runtime.js';

/** Where an access is counted. */
export enum Count {
  load8 = 0,
  load16 = 1,
  load32 = 2,
  load64 = 3,
  store8 = 4,
  store16 = 5,
  store32 = 6,
  store64 = 7,
}

/** The order of bytes in which words are accessed in place: the CPU's. */
export const nativeIsBig: boolean = endianness() === 'BE';

/** As a region has it of which nothing can be accessed so. */
const none: NativeInPlace = {
  words: new ArrayBuffer(0),
  raised: new ArrayBuffer(1),
  lost: new ArrayBuffer(1),
  counts: new ArrayBuffer(0),
  device: false,
  stores: false,
};

/**
 * The order of the steps is the promise: nothing is raised, the access, nothing was lost, the count. An access that does not
 * come through all of them is made by a call, which says what is wrong.
 */
export class InPlace {
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  readonly longs: BigUint64Array;
  /** Whether loads are to be atomic ones. */
  readonly atomic: boolean;
  readonly #raised: Uint8Array;
  readonly #lost: Uint8Array;
  readonly #counts: Float64Array;
  readonly #loadsEnd: number;
  readonly #storesEnd: number;

  constructor({ words, raised, lost, counts, device, stores }: NativeInPlace = none) {
    const { byteLength } = words;
    this.bytes = new Uint8Array(words);
    this.halves = new Uint16Array(words, 0, byteLength >>> 1);
    this.words = new Uint32Array(words, 0, byteLength >>> 2);
    this.longs = new BigUint64Array(words, 0, byteLength >>> 3);
    this.#raised = new Uint8Array(raised);
    this.#lost = new Uint8Array(lost);
    this.#counts = new Float64Array(counts);
    // V8 makes an atomic load of one plain one; what Bun's engine makes of it is not known.
    this.#loadsEnd = device && runtime === 'bun' ? 0 : byteLength;
    this.atomic = device;
    this.#storesEnd = stores ? byteLength : 0;
  }

  /** Whether a load at this place, in this order of bytes, may be made here. */
  loads(place: number, bigEndian: boolean): boolean {
    return place < this.#loadsEnd && bigEndian === nativeIsBig && this.#raised[0] === 0;
  }

  stores(place: number, bigEndian: boolean): boolean {
    return place < this.#storesEnd && bigEndian === nativeIsBig && this.#raised[0] === 0;
  }

  /** Whether the access that was made reached the memory; it counts then. */
  made(count: Count): boolean {
    if (this.#lost[0] !== 0) return false;
    (this.#counts[count] as number)++;
    return true;
  }

  /** Before the region is closed: what is seen here goes. */
  takeBack(): void {
    if (this.bytes.length === 0) return;
    const shown = [this.bytes, this.#raised, this.#lost, this.#counts];
    native.takeBack(...shown.map(({ buffer }) => buffer as ArrayBuffer));
  }
}

/** Of a region that is closed, or not mapped. */
export const notInPlace: InPlace = new InPlace();
