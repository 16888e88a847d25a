// Which buffers the addon reads in place for a queue: memory from allocBuffer, known to it by a slot.
import { native, type QueueHandle } from '../binding.js';
import { memoryId } from '../memory.js';

export class Sources {
  readonly #queue: QueueHandle;
  readonly #slots = new Map<ArrayBufferLike, number>();

  constructor(queue: QueueHandle) {
    this.#queue = queue;
  }

  /** The slot of this buffer; 0 for one whose bytes have to be copied. The addon holds the memory until `release`. */
  slotOf(buffer: ArrayBufferLike): number {
    const known = this.#slots.get(buffer);
    if (known !== undefined) return known;
    const id = memoryId(buffer);
    if (id === undefined) return 0;
    const slot = native.holdSource(this.#queue, id);
    if (slot !== 0) this.#slots.set(buffer, slot);
    return slot;
  }

  /** The memory behind a slot; undefined for slot 0, where the copies are. */
  bufferAt(slot: number): Uint8Array | undefined {
    for (const [buffer, known] of this.#slots) if (known === slot) return new Uint8Array(buffer);
    return undefined;
  }

  /** Lets go of all of them: no operation uses one any more. */
  release(): void {
    if (this.#slots.size === 0) return;
    this.#slots.clear();
    native.releaseSources(this.#queue);
  }
}
