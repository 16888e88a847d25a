// A recording's file as it is read: block after block, a few ahead, each checked before anything of it is believed.
import { promises as files } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify, TextDecoder } from 'node:util';
import { native } from '../binding.js';
import { timers, zlib } from '../builtins.js';
import { IsmioError, systemError } from '../errors.js';
import { Block, Buffers } from './buffers.js';
import { checkEnd, checkMetadata } from './documents.js';
import {
  blockHeaderBytes,
  blockMagic,
  blockTypes,
  codings,
  type End,
  endMagic,
  limits,
  type Metadata,
  magic,
  preambleBytes,
  readableVersions,
  trailerBytes,
} from './format.js';
import { measurePart } from './part.js';

const readSealed = promisify(native.readSealed);

/** The form of it that is used here. */
type Inflate = (
  bytes: Uint8Array,
  options: { maxOutputLength: number; chunkSize: number },
  done: (error: Error | null, content: Uint8Array) => void,
) => void;

/** Blocks that are read and inflated before they are asked for. */
const ahead = 5;

interface Header {
  readonly type: number;
  readonly coding: number;
  readonly stored: number;
  readonly raw: number;
  readonly operations: number;
  readonly next: number;
}

/** A block whose bytes have been read, and one that is being made of them. */
interface Begun {
  /** Of the block behind it. */
  readonly header: Uint8Array;
  readonly next: number;
  readonly block: Promise<Block>;
}

export class RecordingReader {
  readonly path: string;
  readonly size: number;
  readonly buffers = new Buffers();
  metadata!: Metadata;
  end!: End;
  /** False where there is no end, and what `end` says is worked out from the part that is whole. */
  whole = true;
  readonly #file: FileHandle;
  #first = 0;
  #endAt = 0;

  private constructor(path: string, file: FileHandle, size: number) {
    this.path = path;
    this.#file = file;
    this.size = size;
  }

  /**
   * @param partial takes what is whole of a recording that has no end
   * @throws IsmioError ERR_ISMIO_OPEN when there is no such file, ERR_ISMIO_RECORDING when it is no whole recording
   */
  static async open(path: string, partial = false): Promise<RecordingReader> {
    let file: FileHandle | undefined;
    try {
      file = await files.open(path, 'r');
      const status = await file.stat();
      if (!status.isFile()) throw Object.assign(new Error('no regular file'), { code: 'no regular file' });
      const reader = new RecordingReader(path, file, status.size);
      await reader.#begin(partial);
      return reader;
    } catch (error) {
      await file?.close();
      if (error instanceof IsmioError) throw error;
      throw unreadable(path, error as NodeJS.ErrnoException);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The blocks of operations. Whoever takes one releases it. */
  async *blocks(): AsyncGenerator<Block> {
    const begun: Promise<Begun>[] = [];
    let last = this.#readHeader(this.#first).then((header) => ({ header, next: this.#first }));
    let index = 1;
    const begin = (): void => {
      const number = index++;
      const next = last.then(({ header, next: at }) => this.#begun(header, at, number));
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
          throw this.damaged(block.position, 'the last block is not where the end of the file says');
        }
        if (block.type !== blockTypes.operations) throw this.damaged(block.position, 'it has two metadata blocks');
        await timers().setImmediate(); // the next read begins before this block keeps the thread busy
        at = block.next;
        yield block;
      }
    } finally {
      for (const rest of begun)
        await rest
          .then(({ block }) => block)
          .then(
            (block) => block.release(),
            () => undefined,
          );
    }
  }

  /** Compares what the blocks had with what the end says. */
  checkTotals(operations: number, { batches, waiting }: { batches: number; waiting: boolean }): void {
    const { end } = this;
    if (!this.whole) return;
    const wrong =
      (operations !== end.operations && `it has ${operations} operations, its end speaks of ${end.operations}`) ||
      (batches !== end.batches && `it has ${batches} batches, its end speaks of ${end.batches}`) ||
      (waiting && 'its last operations are in no batch');
    if (wrong !== false) throw this.damaged(this.#endAt, wrong);
  }

  /** The error for damage at this place in the file. */
  damaged(position: number, what: string, cause?: unknown): IsmioError {
    return new IsmioError(
      'ERR_ISMIO_RECORDING',
      `${this.path} is damaged at byte ${position}: ${what}`,
      { path: this.path, position, size: this.size },
      cause,
    );
  }

  async #begin(partial: boolean): Promise<void> {
    const preamble = await this.#read(0, Math.min(preambleBytes, this.size));
    if (!startsWith(preamble, magic)) throw this.#refused(0, 'is no recording: it does not begin as one');
    if (preamble.length < preambleBytes) throw await this.#truncated();
    const view = new DataView(preamble.buffer, preamble.byteOffset);
    const version = view.getUint32(magic.length, true);
    if (!readableVersions.includes(version)) {
      throw this.#refused(8, `is of format version ${version}; this ismio reads ${readableVersions.join(', ')}`);
    }
    if (view.getUint32(magic.length + 4, true) !== 0) throw this.damaged(12, 'the preamble does not end in zeros');
    if (this.size < preambleBytes + trailerBytes) throw await this.#truncated();
    const trailer = await this.#read(this.size - trailerBytes, trailerBytes);
    if (!startsWith(trailer.subarray(8), endMagic)) {
      if (partial && (await this.#takePart())) return;
      throw await this.#truncated();
    }
    this.#endAt = Number(new DataView(trailer.buffer, trailer.byteOffset).getBigUint64(0, true));
    if (!(this.#endAt >= preambleBytes && this.#endAt <= this.size - trailerBytes - blockHeaderBytes)) {
      throw this.damaged(this.size - trailerBytes, `the last block cannot be at byte ${this.#endAt}`);
    }
    const end = await this.#blockAt(this.#endAt, null);
    const first = await this.#blockAt(preambleBytes, 0);
    if (end.type !== blockTypes.end) throw this.damaged(end.position, 'this should be the last block');
    if (end.next !== this.size - trailerBytes) throw this.damaged(end.next, 'there is something after the last block');
    if (first.type !== blockTypes.metadata) throw this.damaged(first.position, 'this should be the metadata');
    this.end = this.#document(end, checkEnd);
    this.metadata = this.#document(first, checkMetadata);
    this.#first = first.next;
  }

  /** Whether there is a part that can be taken: it begins with the metadata. */
  async #takePart(): Promise<boolean> {
    let first: Block;
    try {
      first = await this.#blockAt(preambleBytes, 0);
    } catch {
      return false;
    }
    this.metadata = this.#document(first, checkMetadata);
    this.#first = first.next;
    const blockAt = (position: number, index: number): Promise<Block> => this.#blockAt(position, index);
    const { endAt, end } = await measurePart(first.next, this.metadata, blockAt);
    this.#endAt = endAt;
    this.end = end;
    this.whole = false;
    return true;
  }

  #document<T>(block: Block, check: (value: unknown) => T): T {
    try {
      const bytes = block.bytes.subarray(blockHeaderBytes, blockHeaderBytes + block.length);
      return check(JSON.parse(new TextDecoder().decode(bytes)));
    } catch (error) {
      throw this.damaged(block.position, (error as Error).message, error);
    } finally {
      block.release();
    }
  }

  #refused(position: number, what: string): IsmioError {
    return new IsmioError('ERR_ISMIO_RECORDING', `${this.path} ${what}`, {
      path: this.path,
      position,
      size: this.size,
    });
  }

  /** The error of a file without an end: how much of it is whole. */
  async #truncated(): Promise<IsmioError> {
    let whole = preambleBytes;
    let operations = 0;
    try {
      for (let index = 0; ; index++) {
        const block = await this.#blockAt(whole, index);
        operations += block.operations;
        whole = block.next;
        block.release();
      }
    } catch {
      // Here the whole part ends.
    }
    const text = `ends too early, at byte ${this.size}: the recording was not finished, or cut`;
    if (whole === preambleBytes) return this.#refused(this.size, `${text}; nothing of it can be replayed`);
    const part = `Whole are its first ${whole} bytes with ${operations} operations; { partial: true } takes these`;
    return Object.assign(this.#refused(this.size, `${text}. ${part}`), { whole, operations });
  }

  async #blockAt(position: number, index: number | null): Promise<Block> {
    const { block } = await this.#begun(await this.#readHeader(position), position, index);
    return block;
  }

  /** Reads the rest of the block whose header is known, and the header behind it. */
  async #begun(headerBytes: Uint8Array, position: number, index: number | null): Promise<Begun> {
    const header = this.#header(headerBytes, position, index);
    const length = header.next - position;
    const wanted = Math.min(length + blockHeaderBytes, this.size - position);
    const buffer = this.buffers.take(wanted);
    buffer.set(headerBytes);
    try {
      const from = blockHeaderBytes;
      const target = buffer.subarray(0, wanted);
      const { errno, filled, fits } = await readSealed(this.#file.fd, position + from, target, from, length);
      if (errno !== 0) throw unreadable(this.path, systemError(errno, 'pread'));
      if (filled < wanted) throw this.#shorter(position + filled);
      if (!fits) throw this.damaged(position, 'the checksum of this block does not fit');
      if (buffer.subarray(blockHeaderBytes + header.stored, length).some((byte) => byte !== 0))
        throw this.damaged(position, 'something other than zeros behind the content of this block');
    } catch (error) {
      this.buffers.give(buffer);
      throw error;
    }
    const block = this.#finish(buffer, position, header);
    block.catch(() => undefined); // told when it is that block's turn
    return { header: buffer.slice(length, wanted), next: header.next, block };
  }

  #header(bytes: Uint8Array, position: number, index: number | null): Header {
    if (bytes.length < blockHeaderBytes) throw this.damaged(position, 'a block should begin here, but the file ends');
    const fields = new DataView(bytes.buffer, bytes.byteOffset + blockHeaderBytes / 2, blockHeaderBytes / 2);
    const [type, coding] = [fields.getUint8(4), fields.getUint8(5)];
    const [stored, raw, operations] = [8, 12, 16].map((at) => fields.getUint32(at, true)) as [number, number, number];
    const next = position + blockHeaderBytes + Math.ceil(stored / 16) * 16;
    const wrong =
      (fields.getUint32(0, true) !== blockMagic && 'no block begins here') ||
      (fields.getUint16(6, true) !== 0 && 'a reserved field is not zero') ||
      (coding > codings.deflated && `no coding has the number ${coding}`) ||
      (stored > limits.block && `a block of ${stored} bytes is longer than ${limits.block}, the longest there is`) ||
      (raw > limits.block && `a block that means ${raw} bytes is longer than ${limits.block}, the longest there is`) ||
      (coding === codings.plain && stored !== raw && `${stored} bytes cannot stand for ${raw} without a coding`) ||
      (operations > limits.operations && `${operations} operations are more than ${limits.operations} in one block`) ||
      (index !== null && fields.getUint32(20, true) !== index && `block ${index} is missing`) ||
      (fields.getBigUint64(24, true) !== BigInt(position) && 'this block was somewhere else') ||
      (next > this.size && `the block ends at byte ${next}, after the end of the file`);
    if (wrong !== false) throw this.damaged(position, wrong);
    return { type, coding, stored, raw, operations, next };
  }

  async #finish(buffer: Uint8Array, position: number, header: Header): Promise<Block> {
    const { type, coding, stored, raw, operations, next } = header;
    if (coding === codings.plain) return new Block(this.buffers, buffer, raw, operations, position, type, next);
    const content = await this.#inflated(buffer.subarray(blockHeaderBytes, blockHeaderBytes + stored), raw, position);
    this.buffers.give(buffer);
    const target = this.buffers.take(blockHeaderBytes + raw);
    target.set(content, blockHeaderBytes);
    return new Block(this.buffers, target, raw, operations, position, type, next);
  }

  async #inflated(stored: Uint8Array, raw: number, position: number): Promise<Uint8Array> {
    let content: Uint8Array;
    try {
      content = await promisify(zlib().inflateRaw as Inflate)(stored, {
        maxOutputLength: raw + 1,
        chunkSize: Math.max(raw + 1, 64),
      });
    } catch (error) {
      throw this.damaged(position, `it cannot be inflated to ${raw} bytes`, error);
    }
    if (content.length === raw) return content;
    throw this.damaged(position, `it inflates to ${content.length} bytes instead of ${raw}`);
  }

  #shorter(position: number): IsmioError {
    return this.damaged(position, 'the file became shorter while it was read');
  }

  #readHeader(position: number): Promise<Uint8Array> {
    return this.#read(position, Math.max(0, Math.min(blockHeaderBytes, this.size - position)));
  }

  async #read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.#readInto(bytes, 0, length, position);
    return bytes;
  }

  async #readInto(target: Uint8Array, at: number, length: number, position: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#file.read(target, at + done, length - done, position + done);
      if (bytesRead === 0) throw this.#shorter(position + done);
      done += bytesRead;
    }
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): IsmioError {
  const { code = 'unknown error' } = cause;
  return new IsmioError('ERR_ISMIO_OPEN', `cannot read ${path}: ${code}`, { path, errno: code }, cause);
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, at) => bytes[at] === byte);
}
