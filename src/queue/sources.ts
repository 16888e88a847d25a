// Which buffers the addon reads in place for a queue: memory from allocBuffer, known to it by a slot. A buffer is held from
// the first operation that uses it until the last batch with such an operation has ended, and no longer.
import { native, type QueueHandle } from '../binding.js';
import { detached } from '../check.js';
import { memoryId } from '../memory.js';
import type { SourceBytes } from '../region/tap.js';

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
  readonly #held = new Map<ArrayBufferLike, HeldSource>();
  readonly #bySlot: (HeldSource | undefined)[] = [];
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
    const held = this.#held.get(buffer) ?? this.#hold(buffer);
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
    const held = this.#bySlot[slot];
    if (held === undefined) return undefined;
    const freed = held.buffer.byteLength === 0;
    return {
      memory: held.buffer,
      bytes: freed ? new Uint8Array(0) : new Uint8Array(held.buffer),
      copy: (from, length) => {
        const bytes = new Uint8Array(length);
        // A slot goes to another buffer when the last batch with this one has ended.
        const there = this.#bySlot[slot] === held && native.readSource(this.#queue, slot, from, bytes);
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
      this.#held.delete(held.buffer);
      this.#bySlot[held.slot] = undefined;
      native.releaseSource(this.#queue, held.slot);
    }
  }

  /** The queue has ended, and the addon has let go of all of them. */
  forget(): void {
    this.#held.clear();
    this.#bySlot.length = 0;
    this.#used = [];
    this.#latest = null;
  }

  #hold(buffer: ArrayBufferLike): HeldSource | undefined {
    const id = memoryId(buffer);
    const slot = id === undefined ? 0 : native.holdSource(this.#queue, id);
    if (slot === 0) return undefined;
    const held = { buffer, slot, batches: 0, last: -1 };
    this.#held.set(buffer, held);
    this.#bySlot[slot] = held;
    return held;
  }
}
