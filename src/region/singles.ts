// Accesses of one word: in place where the region can be accessed so, else by a call whose arguments and answer lie in words
// that the addon shares (wire.Request). Offsets and values were checked before.
import { answers, native } from '../addon/binding.js';
import { noHandle, type RegionHandle } from '../addon/handles.js';
import { Request } from '../addon/wire.js';
import { Count, InPlace, nativeIsBig, notInPlace } from './in-place.js';

// V8 looks a property of so large an object up again for each call.
const { load8, load16, load32, load64, store8, store16, store32, store64 } = native;

/** The bytes of the access, in the order of their addresses. */
const moved = new DataView(native.answers, Request.bytes * 8, 8);
/** V8 calls out for 8 bytes of a DataView; those of a typed array it moves itself. */
const moved64 = new BigUint64Array(native.answers, Request.bytes * 8, 1);

/** Of one region. What loads answer undefined, and stores false, has failed; the answers say why. */
export class Singles {
  #region: RegionHandle;
  /** Null until the first access, which asks what can be accessed in place: most regions have queues and no such access. */
  #inPlace: InPlace | null = null;

  constructor(region: RegionHandle) {
    this.#region = region;
  }

  load8(place: number): number | undefined {
    const here = this.#inPlace ?? this.#ask();
    if (here.loads(place, nativeIsBig)) {
      const value = here.atomic ? Atomics.load(here.bytes, place) : (here.bytes[place] as number);
      if (here.made(Count.load8)) return value;
    }
    this.#request(place);
    return load8() === undefined ? moved.getUint8(0) : undefined;
  }

  load16(place: number, bigEndian: boolean): number | undefined {
    const here = this.#inPlace ?? this.#ask();
    if (here.loads(place, bigEndian)) {
      const value = here.atomic ? Atomics.load(here.halves, place >>> 1) : (here.halves[place >>> 1] as number);
      if (here.made(Count.load16)) return value;
    }
    this.#request(place);
    return load16() === undefined ? moved.getUint16(0, !bigEndian) : undefined;
  }

  load32(place: number, bigEndian: boolean): number | undefined {
    const here = this.#inPlace ?? this.#ask();
    if (here.loads(place, bigEndian)) {
      const value = here.atomic ? Atomics.load(here.words, place >>> 2) : (here.words[place >>> 2] as number);
      if (here.made(Count.load32)) return value;
    }
    this.#request(place);
    return load32() === undefined ? moved.getUint32(0, !bigEndian) : undefined;
  }

  load64(place: number, bigEndian: boolean): bigint | undefined {
    const here = this.#inPlace ?? this.#ask();
    if (here.loads(place, bigEndian)) {
      const value = here.atomic ? Atomics.load(here.longs, place >>> 3) : (here.longs[place >>> 3] as bigint);
      if (here.made(Count.load64)) return value;
    }
    this.#request(place);
    if (load64() !== undefined) return undefined;
    return bigEndian === nativeIsBig ? moved64[0] : moved.getBigUint64(0, !bigEndian);
  }

  store8(place: number, value: number): boolean {
    const here = this.#inPlace ?? this.#ask();
    if (here.stores(place, nativeIsBig)) {
      here.bytes[place] = value;
      if (here.made(Count.store8)) return true;
    }
    this.#request(place);
    moved.setUint8(0, value);
    return store8() === undefined;
  }

  store16(place: number, value: number, bigEndian: boolean): boolean {
    const here = this.#inPlace ?? this.#ask();
    if (here.stores(place, bigEndian)) {
      here.halves[place >>> 1] = value;
      if (here.made(Count.store16)) return true;
    }
    this.#request(place);
    moved.setUint16(0, value, !bigEndian);
    return store16() === undefined;
  }

  store32(place: number, value: number, bigEndian: boolean): boolean {
    const here = this.#inPlace ?? this.#ask();
    if (here.stores(place, bigEndian)) {
      here.words[place >>> 2] = value;
      if (here.made(Count.store32)) return true;
    }
    this.#request(place);
    moved.setUint32(0, value, !bigEndian);
    return store32() === undefined;
  }

  store64(place: number, value: bigint, bigEndian: boolean): boolean {
    const here = this.#inPlace ?? this.#ask();
    if (here.stores(place, bigEndian)) {
      here.longs[place >>> 3] = value;
      if (here.made(Count.store64)) return true;
    }
    this.#request(place);
    if (bigEndian === nativeIsBig) moved64[0] = value;
    else moved.setBigUint64(0, value, !bigEndian);
    return store64() === undefined;
  }

  /** Before the region is closed. */
  close(): void {
    this.#inPlace?.takeBack();
    this.#inPlace = notInPlace;
    this.#region = noHandle;
  }

  #request(place: number): void {
    answers[Request.region] = this.#region;
    answers[Request.place] = place;
  }

  #ask(): InPlace {
    const offered = native.inPlace(this.#region);
    this.#inPlace = offered === undefined ? notInPlace : new InPlace(offered);
    return this.#inPlace;
  }
}
