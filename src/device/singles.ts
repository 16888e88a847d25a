// Accesses of one word to a BAR whose handlers run on this very thread: they are called without a crossing.
import { native } from '../addon/binding.js';
import type { RegionHandle } from '../addon/handles.js';
import { Count } from '../region/in-place.js';
import { Singles } from '../region/singles.js';
import type { Bar } from './bar.js';
import type { Loaded, Width } from './description.js';

/** What decides whether a handler may be called. */
export interface Answering {
  /** Whether the function is there, and decodes its memory. */
  readonly decodes: boolean;
}

const none: Float64Array = new Float64Array(8);
const raisedAlways: Uint8Array = Uint8Array.of(1);

/**
 * Where a handler throws or gives a promise, the access is made by a call all the same, which gets that answer (`Bar` keeps it):
 * the handler is not called again.
 */
export class AnsweredSingles extends Singles {
  readonly #bar: Bar;
  readonly #device: Answering;
  readonly #bigEndian: boolean;
  #raised: Uint8Array = raisedAlways;
  #counts: Float64Array = none;

  constructor(region: RegionHandle, bar: Bar, device: Answering) {
    super(region);
    this.#bar = bar;
    this.#device = device;
    this.#bigEndian = bar.order === 'be';
    const counted = native.counted(region);
    if (counted === undefined) return;
    this.#raised = new Uint8Array(counted.raised);
    this.#counts = new Float64Array(counted.counts);
  }

  override load8(place: number): number | undefined {
    return (
      (this.#load(place, 1, this.#bigEndian, Count.load8) as number | undefined) ?? this.#called(super.load8(place))
    );
  }

  override load16(place: number, bigEndian: boolean): number | undefined {
    return (
      (this.#load(place, 2, bigEndian, Count.load16) as number | undefined) ??
      this.#called(super.load16(place, bigEndian))
    );
  }

  override load32(place: number, bigEndian: boolean): number | undefined {
    return (
      (this.#load(place, 4, bigEndian, Count.load32) as number | undefined) ??
      this.#called(super.load32(place, bigEndian))
    );
  }

  override load64(place: number, bigEndian: boolean): bigint | undefined {
    const value = this.#load(place, 8, bigEndian, Count.load64);
    return value === undefined ? this.#called(super.load64(place, bigEndian)) : BigInt(value);
  }

  override store8(place: number, value: number): boolean {
    return this.#store(place, value, 1, this.#bigEndian, Count.store8) || this.#called(super.store8(place, value));
  }

  override store16(place: number, value: number, bigEndian: boolean): boolean {
    return (
      this.#store(place, value, 2, bigEndian, Count.store16) || this.#called(super.store16(place, value, bigEndian))
    );
  }

  override store32(place: number, value: number, bigEndian: boolean): boolean {
    return (
      this.#store(place, value, 4, bigEndian, Count.store32) || this.#called(super.store32(place, value, bigEndian))
    );
  }

  override store64(place: number, value: bigint, bigEndian: boolean): boolean {
    return (
      this.#store(place, value, 8, bigEndian, Count.store64) || this.#called(super.store64(place, value, bigEndian))
    );
  }

  override close(): void {
    super.close();
    if (this.#raised === raisedAlways) return;
    native.takeBack(this.#raised.buffer as ArrayBuffer, this.#counts.buffer as ArrayBuffer);
    this.#raised = raisedAlways;
    this.#counts = none;
  }

  #called<Answer>(answer: Answer): Answer {
    this.#bar.drop();
    return answer;
  }

  #here(place: number, width: Width, bigEndian: boolean): boolean {
    return (
      this.#raised[0] === 0 && this.#device.decodes && bigEndian === this.#bigEndian && this.#bar.handled(place, width)
    );
  }

  #load(place: number, width: Width, bigEndian: boolean, count: Count): Loaded | undefined {
    if (!this.#here(place, width, bigEndian)) return undefined;
    const value = this.#bar.loadHere(place, width);
    if (value !== undefined) (this.#counts[count] as number)++;
    return value;
  }

  #store(place: number, value: number | bigint, width: Width, bigEndian: boolean, count: Count): boolean {
    if (!this.#here(place, width, bigEndian)) return false;
    if (!this.#bar.storeHere(place, value, width)) return false;
    (this.#counts[count] as number)++;
    return true;
  }
}
