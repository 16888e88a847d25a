// A recording as it is read: what it says of itself, then block after block, a few ahead of who asks for them.
import { TextDecoder } from 'node:util';
import { timers } from '../support/builtins.js';
import type { IsmioError } from '../support/errors.js';
import { type Begun, BlockFile } from './block-file.js';
import type { Block, Buffers } from './buffers.js';
import { Damage } from './bytes.js';
import { Decoder, type Entry } from './decoder.js';
import { checkEnd, checkMetadata } from './documents.js';
import {
  blockHeaderBytes,
  blockTypes,
  type End,
  endMagic,
  type Metadata,
  magic,
  preambleBytes,
  readableVersions,
  trailerBytes,
} from './format.js';
import { measurePart } from './part.js';

/** Blocks that are read and inflated before they are asked for. */
const ahead = 5;

export class RecordingReader {
  readonly #file: BlockFile;
  metadata!: Metadata;
  end!: End;
  /** False where there is no end, and what `end` says is worked out from the part that is whole. */
  whole = true;
  #first = 0;
  #endAt = 0;

  private constructor(file: BlockFile) {
    this.#file = file;
  }

  /**
   * @param partial takes what is whole of a recording that has no end
   * @throws IsmioError ERR_ISMIO_OPEN when there is no such file, ERR_ISMIO_RECORDING when it is no whole recording
   */
  static async open(path: string, partial = false): Promise<RecordingReader> {
    const file = await BlockFile.open(path);
    try {
      const reader = new RecordingReader(file);
      await reader.#begin(partial);
      return reader;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get size(): number {
    return this.#file.size;
  }

  get buffers(): Buffers {
    return this.#file.buffers;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The blocks of operations. Whoever takes one releases it. */
  async *blocks(): AsyncGenerator<Block> {
    const begun: Promise<Begun>[] = [];
    let last = this.#file.headerAt(this.#first).then((header) => ({ header, next: this.#first }));
    let index = 1;
    const begin = (): void => {
      const number = index++;
      const next = last.then(({ header, next: at }) => this.#file.begin(header, at, number));
      next.catch(() => undefined); // told when it is that block's turn
      begun.push(next);
      last = next;
    };
    let at = this.#first;
    try {
      for (;;) {
        if (!this.whole && at === this.#endAt) return;
        while (begun.length < ahead) begin();
        const { block: made } = await (begun.shift() as Promise<Begun>);
        const block = await made;
        if (block.type === blockTypes.end) {
          block.release();
          if (block.position === this.#endAt) return;
          throw this.#damaged(block.position, 'the last block is not where the end of the file says');
        }
        if (block.type !== blockTypes.operations) throw this.#damaged(block.position, 'it has two metadata blocks');
        await timers().setImmediate(); // the next read begins before this block keeps the thread busy
        at = block.next;
        yield block;
      }
    } finally {
      for (const rest of begun) {
        const block = await rest.then((one) => one.block).catch(() => null);
        block?.release();
      }
    }
  }

  /** What makes records of the blocks. @param made makes the bytes to store where the recording has none */
  decoder(made: () => Uint8Array): Decoder {
    const { payload, loads } = this.metadata;
    return new Decoder(payload ? null : made(), this.end.failures, loads);
  }

  /** The records of a block, which is released then. */
  *entries(block: Block, decoder: Decoder): Generator<Entry> {
    try {
      yield* decoder.entries(block);
    } catch (error) {
      throw error instanceof Damage ? this.#damaged(block.position, error.message, error) : error;
    } finally {
      block.release();
    }
  }

  /** Compares what all blocks had with what the end says. */
  checkTotals({ operations, batches, waiting }: Decoder): void {
    const { end } = this;
    if (!this.whole) return;
    const wrong =
      (operations !== end.operations && `it has ${operations} operations, its end speaks of ${end.operations}`) ||
      (batches !== end.batches && `it has ${batches} batches, its end speaks of ${end.batches}`) ||
      (waiting && 'its last operations are in no batch');
    if (wrong !== false) throw this.#damaged(this.#endAt, wrong);
  }

  /** The error for damage at this place in the file. */
  #damaged(position: number, what: string, cause?: unknown): IsmioError {
    return this.#file.damaged(position, what, cause);
  }

  async #begin(partial: boolean): Promise<void> {
    const { size } = this;
    const preamble = await this.#file.read(0, Math.min(preambleBytes, size));
    if (!startsWith(preamble, magic)) throw this.#file.refused(0, 'is no recording: it does not begin as one');
    if (preamble.length < preambleBytes) return this.#beginPart(partial);
    const view = new DataView(preamble.buffer, preamble.byteOffset);
    const version = view.getUint32(magic.length, true);
    if (!readableVersions.includes(version)) {
      const text = `is of format version ${version}; this ismio reads ${readableVersions.join(', ')}`;
      throw this.#file.refused(magic.length, text);
    }
    if (view.getUint32(magic.length + 4, true) !== 0) throw this.#damaged(12, 'the preamble does not end in zeros');
    const trailerAt = size - trailerBytes;
    const trailer = await this.#file.read(Math.max(0, trailerAt), Math.min(trailerBytes, size));
    if (trailerAt < preambleBytes || !startsWith(trailer.subarray(8), endMagic)) return this.#beginPart(partial);
    this.#endAt = Number(new DataView(trailer.buffer, trailer.byteOffset).getBigUint64(0, true));
    if (!(this.#endAt >= preambleBytes && this.#endAt <= trailerAt - blockHeaderBytes)) {
      throw this.#damaged(trailerAt, `the last block cannot be at byte ${this.#endAt}`);
    }
    const end = await this.#file.blockAt(this.#endAt, null);
    if (end.next !== trailerAt) throw this.#damaged(end.next, 'there is something after the last block');
    this.end = this.#document(end, blockTypes.end, checkEnd);
    this.#readMetadata(await this.#file.blockAt(preambleBytes, 0));
  }

  /** Measures what is whole of a file without an end, and takes it, or says how much that is. */
  async #beginPart(partial: boolean): Promise<void> {
    const { size } = this;
    const text = `ends too early, at byte ${size}: the recording was not finished, or cut`;
    const first = await this.#file.blockAt(preambleBytes, 0).catch(() => null);
    if (first === null) throw this.#file.refused(size, `${text}; nothing of it can be replayed`);
    this.#readMetadata(first);
    const { endAt, end } = await measurePart(first.next, this.metadata, (at, index) => this.#file.blockAt(at, index));
    [this.#endAt, this.end, this.whole] = [endAt, end, false];
    if (partial) return;
    const { operations } = end;
    const part = `Whole are its first ${endAt} bytes with ${operations} operations; { partial: true } takes these`;
    throw Object.assign(this.#file.refused(size, `${text}. ${part}`), { whole: endAt, operations });
  }

  #readMetadata(first: Block): void {
    this.metadata = this.#document(first, blockTypes.metadata, checkMetadata);
    this.#first = first.next;
  }

  #document<T>(block: Block, type: number, check: (value: unknown) => T): T {
    try {
      if (block.type !== type)
        throw new Damage(`this should be ${type === blockTypes.end ? 'the last block' : 'the metadata'}`);
      const bytes = block.bytes.subarray(blockHeaderBytes, blockHeaderBytes + block.length);
      return check(JSON.parse(new TextDecoder().decode(bytes)));
    } catch (error) {
      throw this.#damaged(block.position, (error as Error).message, error);
    } finally {
      block.release();
    }
  }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, at) => bytes[at] === byte);
}
