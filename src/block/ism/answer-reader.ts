// An answer as the initiator reads it: copied to private memory, where it is held against every rule and used.
import { copy } from '../../access/memory.js';
import { checkOf, get } from '../../ism/stream/layout.js';
import type { Extent } from '../disk.js';
import { nameOfErrno } from '../errno.js';
import { digestError, digestOf } from './digest.js';
import type { OwnMemory } from './memory.js';
import type { Operation, Outcome } from './operation.js';
import {
  broken,
  command,
  entry,
  entryBytes,
  entryReserved,
  extentBytes,
  extentFlag,
  headBytes,
  pageBytes,
  wordsEnd,
  wrongDigest,
} from './wire.js';

/** How often an answer whose check is wrong is copied anew before it is left for later: it may be on its way. */
const copies = 3;

/** What an answer has to be of. */
interface Session {
  readonly epoch: number;
  readonly hasDigest: boolean;
}

export class AnswerReader {
  readonly #own: OwnMemory;
  readonly #session: Session;
  readonly #answer = new Uint8Array(pageBytes);
  readonly #view = new DataView(this.#answer.buffer);

  constructor(own: OwnMemory, session: Session) {
    this.#own = own;
    this.#session = session;
  }

  /**
   * Copies the answer at `at` of the heads. False where its parts do not belong together (yet).
   * @param sequence of the request of this slot
   * @param mostInline bytes of data behind it at most; 0 where it is of the array
   */
  take(slot: number, sequence: number, at: number, mostInline: number): boolean {
    const { heads } = this.#own;
    const view = this.#view;
    for (let times = 0; times < copies; times++) {
      this.#answer.set(heads.subarray(at, at + entryBytes));
      const length = mostInline === 0 ? 0 : get(view, entry.length);
      if (length > mostInline) continue; // of no whole answer
      const end = mostInline === 0 ? entryBytes : wordsEnd(headBytes + length);
      if (end > entryBytes) copy(this.#answer.subarray(entryBytes, end), heads.subarray(at + entryBytes, at + end));
      if (checkOf(view, end) !== get(view, entry.check)) continue;
      this.#checkIdentity(slot, sequence, mostInline === 0 ? entryBytes : headBytes);
      return true;
    }
    return false;
  }

  /** What the answer that was taken says of what was asked. A read has its bytes then. */
  outcome(slot: number, operation: Operation, isInline: boolean): Outcome {
    const errno = get(this.#view, entry.errno);
    const length = get(this.#view, entry.length);
    const outcome =
      errno === 0 ? this.#done(slot, operation, length, isInline) : this.#failedWith(operation, errno, length);
    this.#checkDigestField(operation, errno);
    return outcome;
  }

  #checkIdentity(slot: number, expected: number, end: number): void {
    const view = this.#view;
    const epoch = get(view, entry.epoch);
    if (epoch !== this.#session.epoch) throw broken(`an answer of epoch ${epoch} came`, { epoch });
    const sequence = get(view, entry.sequence);
    if (sequence !== expected) {
      const text = `an answer to request ${sequence} of slot ${slot} came, and ${expected} waits`;
      throw broken(text, { sequence, slot });
    }
    for (let at = entryReserved; at < end; at += 4) {
      if (view.getUint32(at) !== 0) throw broken('what is reserved in an answer is not 0');
    }
  }

  /** Reads that went well have one, where the session has them; nothing else has. */
  #checkDigestField({ command: asked }: Operation, errno: number): void {
    const may = this.#session.hasDigest && asked === command.read && errno === 0;
    if (!may && this.#came !== 0) throw broken('an answer has a digest, and may not', { digest: this.#came });
  }

  /** The digest that an answer has. */
  get #came(): number {
    return get(this.#view, entry.digest);
  }

  #done(
    slot: number,
    { command: asked, offset, length, target, most }: Operation,
    came: number,
    isInline: boolean,
  ): Outcome {
    if (asked === command.extents) return { extents: this.#extents(came, length, most) };
    const wanted = asked === command.read ? length : 0;
    if (came !== wanted) throw broken(`an answer has ${came} bytes, and ${wanted} were asked for`, { length: came });
    if (target !== null) {
      copy(target, isInline ? this.#answer.subarray(headBytes, headBytes + length) : this.#own.data(slot, length));
      if (this.#session.hasDigest) return this.#compared(target, { offset, length });
    }
    return null;
  }

  /** What is used is what is looked at: the copy. */
  #compared(target: Uint8Array, place: { offset: number; length: number }): Outcome {
    const [expected, computed] = [this.#came, digestOf(target)];
    return computed === expected ? null : { error: digestError('read', place, { expected, computed }) };
  }

  #failedWith({ command: asked, offset, length: wanted }: Operation, errno: number, length: number): Outcome {
    if (errno === wrongDigest && length === 0 && asked === command.write && this.#session.hasDigest) {
      return { error: digestError('write', { offset, length: wanted }, null) };
    }
    const name = nameOfErrno(errno);
    if (name === undefined || length !== 0) throw broken(`an answer has errno ${errno} and ${length} bytes`, { errno });
    return { errno: name };
  }

  #extents(bytes: number, length: number, most: number): Extent[] {
    const count = bytes / extentBytes;
    if (!Number.isInteger(count) || count < 1 || count > most) throw broken(`${bytes} bytes of extents came`);
    let left = length;
    return Array.from({ length: count }, (_, i) => {
      const at = headBytes + i * extentBytes;
      const size = get(this.#view, { offset: at, width: 8 });
      const flags = get(this.#view, { offset: at + 8, width: 4 });
      const reserved = get(this.#view, { offset: at + 12, width: 4 });
      left -= size;
      if (size === 0 || left < 0 || flags > 3 || reserved !== 0) throw broken('an extent came that cannot be');
      return { length: size, hole: (flags & extentFlag.hole) !== 0, zero: (flags & extentFlag.zero) !== 0 };
    });
  }
}
