// Operations into blocks. Operations of the same kind that follow each other are a run: their offsets, lengths and times
// stand in columns, or in a few bytes where they are regular, and their payloads in one piece.
import { type Fence, fences } from '../addon/wire.js';
import { ByteWriter } from './bytes.js';
import { Draft } from './draft.js';
import {
  blockTypes,
  contentHeaderBytes,
  lengthModes,
  limits,
  type OperationKind,
  type Origin,
  offsetModes,
  operationKinds,
  records,
  runFlags,
  wanted,
} from './format.js';
import { Payload } from './payload.js';

export type TakeBlock = (block: Draft) => void;

const longestGap = 0xffff_ffff;

interface Run {
  origin: Origin;
  kind: OperationKind;
  number: number;
  /** Of a store, and of a load that is one access: all have this one. */
  width: number;
}

/** What is seldom: an operation that failed, a piece of a longer one, a copy, a fence for less than everything. */
export interface Special {
  readonly bytesDone?: number;
  readonly continued?: boolean;
  readonly source?: { readonly region: number; readonly offset: number };
  readonly purpose?: Fence;
}

export class Encoder {
  readonly #take: TakeBlock;
  readonly #control = new ByteWriter(1 << 16);
  readonly #columns = new ByteWriter(1 << 18);
  readonly #payload = new Payload(1 << 18);
  #operations = 0;

  #run: Run | null = null;
  #count = 0;
  #time = 0;
  readonly #offsets = new Float64Array(limits.run);
  readonly #lengths = new Float64Array(limits.run);
  readonly #times = new Float64Array(limits.run);

  /** Of the last record that has a time. */
  #clock = 0;

  constructor(take: TakeBlock) {
    this.#take = take;
  }

  /**
   * Begins an operation. What it carries is to be appended to `payload` before the next call.
   * @param time nanoseconds since the recording began
   */
  operation(
    origin: Origin,
    kind: OperationKind,
    number: number,
    offset: number,
    length: number,
    time: number,
    special?: Special,
  ): void {
    const run = this.#run;
    if (
      run === null ||
      special !== undefined ||
      run.kind !== kind ||
      run.number !== number ||
      run.origin !== origin ||
      this.#count === limits.run ||
      this.#payload.length >= wanted.payload ||
      (run.width !== length && (kind === 'store' || (kind === 'load' && origin === 'direct'))) ||
      (origin !== 'queued' && time - (this.#times[this.#count - 1] as number) > longestGap)
    ) {
      this.#begin({ origin, kind, number, width: length }, time);
    }
    const at = this.#count++;
    this.#offsets[at] = offset;
    this.#lengths[at] = length;
    this.#times[at] = time;
    if (special !== undefined) this.#end(special);
  }

  get payload(): Payload {
    return this.#payload;
  }

  /** A record that is no run; `write` puts its fields behind its number. */
  record(kind: number, number: number, write: (control: ByteWriter) => void = () => undefined): void {
    this.#end();
    this.#control.byte(kind);
    this.#control.varint(number);
    write(this.#control);
    this.#flushIfLarge();
  }

  /**
   * Some of what the loads of a batch gave: these bytes are to be appended to `payload` before the next call.
   * @param unknown bytes before them that nobody knows
   */
  loaded(batch: number, unknown: number, length: number): void {
    this.#end();
    this.#flushIfLarge();
    this.#payload.align();
    this.#control.byte(records.loaded);
    for (const field of [batch, unknown, length]) this.#control.varint(field);
  }

  /** A record with a time. */
  timed(kind: number, number: number, time: number): void {
    this.record(kind, number, () => this.#writeTime(time));
  }

  /** Whether there is something that no block has yet. */
  get holds(): boolean {
    return this.#control.length > 0 || this.#count > 0;
  }

  /** Ends the block that is being filled. */
  flush(): void {
    this.#end();
    if (this.#control.length === 0) return;
    const written = [this.#control, this.#columns, this.#payload];
    const lengths = new DataView(new ArrayBuffer(contentHeaderBytes));
    for (const [index, part] of written.entries()) {
      part.align();
      lengths.setUint32(4 * index, part.length, true);
    }
    const parts = [new Uint8Array(lengths.buffer), this.#control.written, this.#columns.written, this.#payload.copied];
    const before = contentHeaderBytes + this.#control.length + this.#columns.length;
    const references = this.#payload.takeReferences().map((one) => ({ ...one, at: before + one.at }));
    const draft = new Draft(blockTypes.operations, parts, this.#operations, references);
    this.#operations = 0;
    for (const part of written) part.clear();
    this.#take(draft);
  }

  #begin(run: Run, time: number): void {
    this.#end();
    this.#flushIfLarge();
    this.#payload.align();
    this.#run = run;
    this.#time = time;
  }

  #flushIfLarge(): void {
    const large = this.#payload.length >= wanted.payload || this.#columns.length >= wanted.payload;
    if (large || this.#operations >= wanted.operations || this.#control.length >= wanted.payload) this.flush();
  }

  /** Writes down the run that was being gathered. */
  #end(special: Special = {}): void {
    const run = this.#run;
    const count = this.#count;
    if (run === null || count === 0) return;
    this.#run = null;
    this.#count = 0;
    this.#operations += special.continued === true ? 0 : count;
    const { origin, kind, number } = run;
    const placed = kind !== 'fence';
    const offsets = placed ? this.#offsetMode(count) : { mode: offsetModes.stride, stride: 0 };
    const lengths = placed ? this.#lengthMode(count) : fences.indexOf(special.purpose ?? 'full');
    const timed = origin !== 'queued' && count > 1;
    const control = this.#control;
    control.byte(records[origin] + operationKinds.indexOf(kind));
    control.varint(
      offsets.mode |
        (lengths << runFlags.lengthShift) |
        (special.bytesDone === undefined ? 0 : runFlags.failed) |
        (special.continued === true ? runFlags.continued : 0) |
        (timed ? runFlags.times : 0) |
        (offsets.stride < 0 ? runFlags.backwards : 0),
    );
    control.varint(number);
    control.varint(count);
    if (origin !== 'queued') this.#writeTime(this.#time);
    if (placed) this.#writePlaces(count, offsets, lengths);
    if (special.bytesDone !== undefined) control.varint(special.bytesDone);
    if (special.source !== undefined) {
      control.varint(special.source.region);
      control.varint(special.source.offset);
    }
    if (timed) this.#writeTimes(count);
  }

  #writeTime(time: number): void {
    this.#control.varint(Math.max(0, time - this.#clock));
    this.#clock = Math.max(time, this.#clock);
  }

  #writeTimes(count: number): void {
    const times = this.#times;
    this.#clock = Math.max(this.#clock, times[count - 1] as number);
    for (let index = count - 1; index > 0; index--) {
      times[index] = Math.max(0, (times[index] as number) - (times[index - 1] as number));
    }
    times[0] = 0;
    this.#columns.column(times, count, 'u32');
  }

  #writePlaces(count: number, { mode, stride }: { mode: number; stride: number }, lengths: number): void {
    const offsets = this.#offsets;
    if (mode !== offsetModes.absolute) this.#control.varint(offsets[0] as number);
    if (mode === offsetModes.stride && count > 1) this.#control.varint(Math.abs(stride));
    if (mode === offsetModes.absolute) this.#columns.column(offsets, count, 'f64');
    if (mode === offsetModes.deltas) {
      for (let index = count - 1; index > 0; index--) {
        offsets[index] = (offsets[index] as number) - (offsets[index - 1] as number);
      }
      offsets[0] = 0;
      this.#columns.column(offsets, count, 'i32');
    }
    if (lengths === lengthModes.same) this.#control.varint(this.#lengths[0] as number);
    else this.#columns.column(this.#lengths, count, lengths === lengthModes.u16 ? 'u16' : 'u32');
  }

  #offsetMode(count: number): { mode: number; stride: number } {
    const offsets = this.#offsets;
    const stride = count > 1 ? (offsets[1] as number) - (offsets[0] as number) : 0;
    let regular = true;
    let near = true;
    for (let index = 1; index < count && near; index++) {
      const delta = (offsets[index] as number) - (offsets[index - 1] as number);
      regular &&= delta === stride;
      near = regular || delta === (delta | 0);
    }
    if (regular) return { mode: offsetModes.stride, stride };
    return { mode: near ? offsetModes.deltas : offsetModes.absolute, stride: 0 };
  }

  #lengthMode(count: number): number {
    const lengths = this.#lengths;
    let largest = 0;
    let same = true;
    for (let index = 0; index < count; index++) {
      largest = Math.max(largest, lengths[index] as number);
      same &&= lengths[index] === lengths[0];
    }
    if (same) return lengthModes.same;
    return largest <= 0xffff ? lengthModes.u16 : lengthModes.u32;
  }
}
