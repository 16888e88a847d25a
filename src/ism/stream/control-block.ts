// The control block that this end publishes, in memory of its own from which it is moved.
import { checkOf, control, controlLength, helloOffset, put, textOffset } from './layout.js';

/** What a block says. */
interface Words {
  readonly flags: number;
  readonly prod: number;
  readonly cons: number;
  readonly arms: number;
  readonly answers: number;
}

/** Text that the block carries, if any. */
interface Text {
  readonly text: Uint8Array;
  readonly textPosition: number;
  readonly textLength: number;
}

export class ControlBlock {
  readonly #bytes = new Uint8Array(helloOffset);
  readonly #view = new DataView(this.#bytes.buffer);
  #sequence = 0;

  /** @param epoch the receiver's */
  constructor(epoch: number) {
    put(this.#view, control.epoch, epoch);
  }

  /** The next block, with its number and its check: these bytes are to be moved before the next call. */
  write(
    { flags, prod, cons, arms, answers }: Words,
    reason: number,
    { text, textPosition, textLength }: Text,
  ): Uint8Array {
    const view = this.#view;
    this.#sequence = (this.#sequence + 1) >>> 0;
    put(view, control.sequence, this.#sequence);
    put(view, control.flags, flags);
    put(view, control.textLength, textLength);
    put(view, control.prod, prod);
    put(view, control.cons, cons);
    put(view, control.textPosition, textPosition);
    put(view, control.reason, reason);
    put(view, control.arms, arms);
    put(view, control.answers, answers);
    const length = controlLength(textLength);
    this.#bytes.set(text.subarray(0, textLength), textOffset);
    this.#bytes.fill(0, textOffset + textLength, length);
    put(view, control.check, checkOf(view, length));
    return this.#bytes.subarray(0, length);
  }
}
