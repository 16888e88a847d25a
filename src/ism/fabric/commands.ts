// The command page of an ISM function, BAR 2, as its driver sees it: requests are stored, the header last, and loaded responses.
import type { BarDescription } from '../../device/description.js';
import {
  type AnyCommand,
  commandByCode,
  header,
  headerBytes,
  pageBytes,
  readFields,
  returnCodes,
  vlanIdsAt,
  writeFields,
} from '../wire.js';

/** A response: a code that refuses, or the values of the response's fields. */
export type Answer =
  | number
  | { readonly values: Readonly<Record<string, number | bigint>>; readonly vlanIds?: readonly number[] };

/** Carries a command out. */
export type Carry = (command: AnyCommand, request: Readonly<Record<string, number | bigint>>) => Answer;

/** A BAR whose stores and loads are those of a command page. */
export class CommandPage {
  readonly #bytes = new Uint8Array(pageBytes);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #carry: Carry;
  readonly #reversed: boolean;
  /** The header of a command was stored, and words of its block may follow. */
  #begun = false;

  /**
   * `reversed`: a store block comes as words of 8 bytes, one by one, each with its bytes in reverse. Where a block ends cannot be
   * seen then, so a command that was begun is carried out when its response is loaded.
   */
  constructor(carry: Carry, reversed: boolean) {
    this.#carry = carry;
    this.#reversed = reversed;
    this.clear();
  }

  /** Nobody has asked anything yet: a driver that looks for a response finds that there is none. */
  clear(): void {
    this.#begun = false;
    this.#bytes.fill(0);
    this.#view.setUint16(header.ret[0], returnCodes.error);
  }

  bar(): BarDescription {
    return {
      size: pageBytes,
      order: 'be',
      load: (offset, width) => this.#load(offset, width),
      store: (offset, value, width) => this.#store(offset, value, width),
      storeBlock: (offset, bytes) => this.#taken(offset, bytes),
    };
  }

  #load(offset: number, width: number): number | bigint {
    if (this.#begun) this.#run();
    if (width === 8) return this.#view.getBigUint64(offset);
    if (width === 4) return this.#view.getUint32(offset);
    return width === 2 ? this.#view.getUint16(offset) : this.#view.getUint8(offset);
  }

  #store(offset: number, value: number | bigint, width: number): void {
    const word = new DataView(new ArrayBuffer(8));
    word.setBigUint64(0, BigInt(value), this.#reversed && width === 8);
    this.#taken(offset, new Uint8Array(word.buffer, 8 - width));
  }

  /** What covers the header starts the command. */
  #taken(offset: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, offset);
    if (offset !== 0 || bytes.length < headerBytes) return;
    if (this.#reversed) this.#begun = true;
    else this.#run();
  }

  #run(): void {
    this.#begun = false;
    const { cmd, len } = readFields(this.#view, header);
    const command = commandByCode.get(cmd);
    const answer = command === undefined ? returnCodes.command : this.#answer(command, len);
    const refused = typeof answer === 'number';
    const length = refused || command === undefined ? headerBytes : command.responseBytes;
    this.#bytes.fill(0);
    if (!refused && command !== undefined) {
      writeFields(this.#view, command.response, answer.values as Record<string, never>);
      for (const [i, id] of (answer.vlanIds ?? []).entries()) this.#view.setUint16(vlanIdsAt + 2 * i, id);
    }
    writeFields(this.#view, header, { cmd, ret: refused ? answer : returnCodes.done, len: length });
  }

  #answer(command: AnyCommand, length: number): Answer {
    if (length !== command.requestBytes) return returnCodes.length;
    return this.#carry(command, readFields(this.#view, command.request));
  }
}

/** A response without fields. */
export const done: Answer = { values: {} };
