// What a line has said, by the position of each byte since it began: the last of it is kept, so many bytes as there is room
// for. Nobody who reads is waited for.

export class History {
  readonly #bytes: Buffer;
  #end = 0;

  /** @param capacity bytes that are kept */
  constructor(capacity: number) {
    this.#bytes = Buffer.alloc(capacity);
  }

  /** The position of the oldest byte that is kept. */
  get start(): number {
    return Math.max(0, this.#end - this.#bytes.length);
  }

  /** The position of the next byte. */
  get end(): number {
    return this.#end;
  }

  append(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#bytes.length));
    const at = (this.#end + bytes.length - kept.length) % this.#bytes.length;
    const first = kept.subarray(0, this.#bytes.length - at);
    this.#bytes.set(first, at);
    this.#bytes.set(kept.subarray(first.length), 0);
    this.#end += bytes.length;
  }

  /** Copies what is kept from `position` on to `target`. @returns how many bytes */
  copy(position: number, target: Uint8Array): number {
    const length = Math.max(0, Math.min(this.#end - position, target.length));
    const at = position % this.#bytes.length;
    const first = this.#bytes.subarray(at, Math.min(at + length, this.#bytes.length));
    target.set(first, 0);
    target.set(this.#bytes.subarray(0, length - first.length), first.length);
    return length;
  }
}
