// What the peer says of itself, in the control block that it moves into this end's memory. It is hostile: the block is copied
// once, the copy is checked whole, and the copy is used. What breaks a rule ends the stream; nothing is cut to fit.
import {
  ahead,
  allFlags,
  checkOf,
  control,
  controlLength,
  controlOffset,
  flag,
  get,
  helloOffset,
  longestText,
  textOffset,
} from './layout.js';
import { breach } from './reasons.js';

/** What this end has published of itself, which bounds what the peer may say. */
export interface Said {
  readonly prod: number;
  readonly cons: number;
  readonly arms: number;
  readonly flags: number;
}

/** How often a block whose check is wrong is copied anew before it is left for later: it may be on its way. */
const copies = 3;

/** A control block in private memory. */
class Copy {
  readonly bytes = new Uint8Array(helloOffset);
  readonly view = new DataView(this.bytes.buffer);

  get isWhole(): boolean {
    const length = get(this.view, control.textLength);
    return length <= longestText && checkOf(this.view, controlLength(length)) === get(this.view, control.check);
  }
}

export class Peer {
  readonly #memory: Uint8Array;
  readonly #live: DataView;
  readonly #epoch: number;
  readonly #ring: number;
  /** The block that was accepted last, and where the next one is copied to and checked. They change places. */
  #accepted = new Copy();
  #next = new Copy();

  check = 0;
  sequence = 0;
  flags = 0;
  prod = 0;
  cons = 0;
  arms = 0;
  answers = 0;
  reason = 0;
  textPosition = 0;
  textLength = 0;

  /**
   * @param memory this end's DMB
   * @param epoch this end's, which the peer has to say
   * @param ring the size of this end's ring
   */
  constructor(memory: Uint8Array, epoch: number, ring: number) {
    this.#memory = memory.subarray(controlOffset, helloOffset);
    this.#live = new DataView(memory.buffer, memory.byteOffset + controlOffset, helloOffset);
    this.#epoch = epoch;
    this.#ring = ring;
  }

  /** Text inside of the block, which takes the positions from `textPosition` on. */
  get text(): Uint8Array {
    return this.#accepted.bytes.subarray(textOffset, textOffset + this.textLength);
  }

  has(bit: number): boolean {
    return (this.flags & bit) !== 0;
  }

  /**
   * Looks at the block, and takes what is new.
   * @returns 'torn' where its parts do not belong together (yet)
   * @throws IsmioError ERR_ISMIO_ISM_STREAM
   */
  look(said: Said): 'same' | 'news' | 'torn' {
    const { check, sequence } = control;
    for (let times = 0; times < copies; times++) {
      if (get(this.#live, check) === this.check && get(this.#live, sequence) === this.sequence) return 'same';
      this.#next.bytes.set(this.#memory);
      if (this.#next.isWhole) {
        this.#accept(said);
        return 'news';
      }
    }
    return 'torn';
  }

  #accept(said: Said): void {
    const { view } = this.#next;
    this.#checkIdentity(view);
    this.#checkFlags(view, said);
    this.#checkCursors(view, said);
    this.#checkText(view, said);
    this.check = get(view, control.check);
    this.sequence = get(view, control.sequence);
    this.flags = get(view, control.flags);
    this.prod = get(view, control.prod);
    this.cons = get(view, control.cons);
    this.arms = get(view, control.arms);
    this.answers = get(view, control.answers);
    this.reason = get(view, control.reason);
    this.textPosition = get(view, control.textPosition);
    this.textLength = get(view, control.textLength);
    [this.#accepted, this.#next] = [this.#next, this.#accepted];
  }

  #checkIdentity(view: DataView): void {
    const epoch = get(view, control.epoch);
    if (epoch !== this.#epoch) throw breach('epoch', `epoch ${epoch} is not ${this.#epoch}, this end's`, { epoch });
    const sequence = get(view, control.sequence);
    if (ahead(sequence, this.sequence) <= 0) {
      throw breach('sequence', `another block ${sequence} came after block ${this.sequence}`, { sequence });
    }
    const reserved = get(view, control.reserved);
    if (reserved !== 0) throw breach('reserved', `the reserved word is ${reserved}, not 0`, { reserved });
  }

  #checkFlags(view: DataView, said: Said): void {
    const flags = get(view, control.flags);
    if ((flags & ~allFlags) !== 0) throw breach('flags', `flags ${flags} have bits that mean nothing`, { flags });
    if (this.has(flag.done)) throw breach('done', 'a block came after the last one');
    if (this.has(flag.end) && (flags & flag.end) === 0) throw breach('end', 'the end was taken back');
    const isAbort = (flags & flag.abort) !== 0;
    const reason = get(view, control.reason);
    if (isAbort !== (reason !== 0)) throw breach('reason', `reason ${reason} with flags ${flags}`, { flags });
    const both = (flags & said.flags & flag.end) !== 0;
    if ((flags & flag.done) !== 0 && !(both && get(view, control.cons) === said.prod)) {
      throw breach('done', 'it is done before both directions were', { flags });
    }
  }

  #checkCursors(view: DataView, said: Said): void {
    const prod = get(view, control.prod);
    if (prod < this.prod || prod - said.cons > this.#ring) {
      const text = `prod ${prod} after ${this.prod}, with ${said.cons} bytes read and a ring of ${this.#ring}`;
      throw breach('prod', text, { prod });
    }
    if (this.has(flag.end) && prod !== this.prod)
      throw breach('end', `prod ${prod} after the end, ${this.prod}`, { prod });
    const cons = get(view, control.cons);
    if (cons < this.cons || cons > said.prod) {
      throw breach('cons', `cons ${cons} after ${this.cons}, with ${said.prod} bytes published`, { cons });
    }
    const arms = get(view, control.arms);
    if (ahead(arms, this.arms) < 0) throw breach('arms', `it was armed ${this.arms} times, and now ${arms}`, { arms });
    const answers = get(view, control.answers);
    if (ahead(answers, this.answers) < 0 || ahead(answers, said.arms) > 0) {
      const text = `it answers ${answers} after ${this.answers}, of ${said.arms} times`;
      throw breach('answers', text, { answers });
    }
  }

  /** Text that was not read stays where it is, and may only become longer. */
  #checkText(view: DataView, said: Said): void {
    const position = get(view, control.textPosition);
    const length = get(view, control.textLength);
    const end = position + length;
    const prod = get(view, control.prod);
    if (length === 0 ? position !== 0 : end > prod || end <= prod - this.#ring) {
      throw breach('text', `${length} bytes of text at ${position}, with prod ${prod}`, { position, length });
    }
    const unread = this.textPosition + this.textLength > said.cons;
    if (unread && (position !== this.textPosition || length < this.textLength)) {
      const text = `${this.textLength} bytes of text at ${this.textPosition} were taken back before they were read`;
      throw breach('text', text, { position, length });
    }
  }
}
