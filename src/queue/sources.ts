// Which buffers the addon reads in place for a queue: memory from allocBuffer, known to it by a slot. A buffer is held from
// the first operation that uses it until the last batch with such an operation has ended, and no longer.
import { memoryId } from '../access/memory.js';
import { native } from '../addon/binding.js';
import type { QueueHandle } from '../addon/handles.js';
import { detached } from '../support/check.js';

/** Memory that writes of a batch are from, and loads go to. */
export interface SourceBytes {
  /** What tells it from other memory; null for memory of the queue, of which each operation has a place of its own. */
  readonly memory: object | null;
  /** All of it; of length 0 where the program has freed it since. */
  readonly bytes: Uint8Array;
  /**
   * A copy of these bytes, which the addon holds until the batch has ended.
   * @throws TypeError ERR_ISMIO_DETACHED after that
   */
  copy(from: number, length: number): Uint8Array;
}

/** A buffer that operations use. */
export interface HeldSource {
  readonly buffer: ArrayBufferLike;
  readonly slot: number;
  /** Batches that use it, the one that is being queued included. */
  batches: number;
  /** The last of them. */
  last: number;
}

/** Memory that nobody frees before its queue has ended. */
export function ownSource(bytes: Uint8Array): SourceBytes {
  return { memory: null, bytes, copy: (from, length) => bytes.slice(from, from + length) };
}

const none: readonly HeldSource[] = Object.freeze([]);

export class Sources {
  readonly #queue: QueueHandle;
  /** Most queues have one buffer at a time, and batches of one operation: that one is not looked up. */
  #only: HeldSource | null = null;
  readonly #others = new Map<ArrayBufferLike, HeldSource>();
  readonly #othersBySlot: (HeldSource | undefined)[] = [];
  /** Those that the operations use which are being queued. */
  #used: HeldSource[] = [];
  /** The one of them that was used last. */
  #latest: HeldSource | null = null;
  #batch = 0;

  constructor(queue: QueueHandle) {
    this.#queue = queue;
  }

  /** The slot of this buffer where it is the one that an operation of this batch has used last. */
  slotInBatch(buffer: ArrayBufferLike): number | undefined {
    const latest = this.#latest;
    return latest !== null && latest.buffer === buffer ? latest.slot : undefined;
  }

  /** The slot of this buffer for an operation that is being queued; 0 where its bytes have to be copied. */
  slotOf(buffer: ArrayBufferLike): number {
    const only = this.#only;
    const held = only !== null && only.buffer === buffer ? only : (this.#others.get(buffer) ?? this.#hold(buffer));
    if (held === undefined) return 0;
    this.#latest = held;
    if (held.last !== this.#batch) {
      held.last = this.#batch;
      held.batches++;
      this.#used.push(held);
    }
    return held.slot;
  }

  /** The memory behind a slot; undefined for slot 0, where the copies are. */
  sourceAt(slot: number): SourceBytes | undefined {
    const held = this.#at(slot);
    if (held === undefined) return undefined;
    const freed = held.buffer.byteLength === 0;
    return {
      memory: held.buffer,
      bytes: freed ? new Uint8Array(0) : new Uint8Array(held.buffer),
      copy: (from, length) => {
        const bytes = new Uint8Array(length);
        // A slot goes to another buffer when the last batch with this one has ended.
        const there = this.#at(slot) === held && native.readSource(this.#queue, slot, from, bytes);
        if (!there) throw detached('source');
        return bytes;
      },
    };
  }

  /** What was queued is handed over: the buffers that it uses. `release` takes them when it has ended. */
  handOver(): readonly HeldSource[] {
    this.#batch++;
    this.#latest = null;
    if (this.#used.length === 0) return none;
    const used = this.#used;
    this.#used = [];
    return used;
  }

  /** A batch has ended: lets go of those of its buffers that no other batch uses. */
  release(used: readonly HeldSource[]): void {
    // By index: for the none or one of most batches an iterator takes as long as all the rest of this.
    for (let at = 0; at < used.length; at++) {
      const held = used[at] as HeldSource;
      if (--held.batches > 0) continue;
      if (held === this.#only) this.#only = null;
      else this.#letGo(held);
      native.releaseSource(this.#queue, held.slot);
    }
  }

  /** The queue has ended, and the addon has let go of all of them. */
  forget(): void {
    this.#only = null;
    this.#others.clear();
    this.#othersBySlot.length = 0;
    this.#used = [];
    this.#latest = null;
  }

  #hold(buffer: ArrayBufferLike): HeldSource | undefined {
    const id = memoryId(buffer);
    const slot = id === undefined ? 0 : native.holdSource(this.#queue, id);
    if (slot === 0) return undefined;
    const held = { buffer, slot, batches: 0, last: -1 };
    if (this.#only === null) {
      this.#only = held;
      return held;
    }
    this.#others.set(buffer, held);
    this.#othersBySlot[slot] = held;
    return held;
  }

  #letGo({ buffer, slot }: HeldSource): void {
    this.#others.delete(buffer);
    this.#othersBySlot[slot] = undefined;
  }

  #at(slot: number): HeldSource | undefined {
    return this.#only !== null && this.#only.slot === slot ? this.#only : this.#othersBySlot[slot];
  }
}
