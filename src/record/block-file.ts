// A recording's file, block by block: each is held against its checksum and its bounds before anything of it is believed.
import { close, fstat, open, read } from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { native } from '../addon/binding.js';
import { zlib } from '../support/builtins.js';
import { IsmioError, systemError } from '../support/errors.js';
import { Block, Buffers } from './buffers.js';
import { blockHeaderBytes, blockMagic, codings, limits } from './format.js';

const readSealed = promisify(native.readSealed);
const [openFile, statFile, readFile, closeFile] = [
  promisify(open),
  promisify(fstat),
  promisify(read),
  promisify(close),
];

/**
 * Files of iterations that a program began and left. A descriptor, not a FileHandle: from Node.js 26 on, one of those that is
 * collected before it is closed ends the program with an uncaught error.
 */
const abandoned = new FinalizationRegistry<number>((descriptor) => close(descriptor));

/** The form of it that is used here. */
type Inflate = (
  bytes: Uint8Array,
  options: { maxOutputLength: number; chunkSize: number },
  done: (error: Error | null, content: Uint8Array) => void,
) => void;

interface Header {
  readonly type: number;
  readonly coding: number;
  readonly stored: number;
  readonly raw: number;
  readonly operations: number;
  readonly next: number;
}

/** A block whose bytes have been read, and one that is being made of them. */
export interface Begun {
  /** Of the block behind it. */
  readonly header: Uint8Array;
  readonly next: number;
  readonly block: Promise<Block>;
}

export class BlockFile {
  readonly path: string;
  readonly size: number;
  readonly buffers = new Buffers();
  readonly #descriptor: number;
  /** What is being read: the descriptor is another file's as soon as it is closed, so that waits. */
  readonly #reads = new Set<Promise<unknown>>();
  #closed = false;

  private constructor(path: string, descriptor: number, size: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.size = size;
    abandoned.register(this, descriptor, this);
  }

  /** @throws IsmioError ERR_ISMIO_OPEN when there is no such file */
  static async open(path: string): Promise<BlockFile> {
    let descriptor: number | undefined;
    try {
      descriptor = await openFile(path, 'r');
      const status = await statFile(descriptor);
      if (!status.isFile()) throw Object.assign(new Error('no regular file'), { code: 'no regular file' });
      return new BlockFile(path, descriptor, status.size);
    } catch (error) {
      if (descriptor !== undefined) await closeFile(descriptor);
      throw unreadable(path, error as NodeJS.ErrnoException);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    abandoned.unregister(this);
    await Promise.allSettled(this.#reads);
    await closeFile(this.#descriptor);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#reading((descriptor) =>
        readFile(descriptor, bytes, done, length - done, position + done),
      );
      if (bytesRead === 0) throw this.#shorter(position + done);
      done += bytesRead;
    }
    return bytes;
  }

  /** What there is of the header of a block. */
  headerAt(position: number): Promise<Uint8Array> {
    return this.read(position, Math.max(0, Math.min(blockHeaderBytes, this.size - position)));
  }

  /** @param index of the block; null where it is not known */
  async blockAt(position: number, index: number | null): Promise<Block> {
    const { block } = await this.begin(await this.headerAt(position), position, index);
    return block;
  }

  /** Reads the rest of the block whose header is known, and the header behind it. */
  async begin(headerBytes: Uint8Array, position: number, index: number | null): Promise<Begun> {
    const header = this.#header(headerBytes, position, index);
    const length = header.next - position;
    const wanted = Math.min(length + blockHeaderBytes, this.size - position);
    const buffer = this.buffers.take(wanted);
    buffer.set(headerBytes);
    try {
      const from = blockHeaderBytes;
      const target = buffer.subarray(0, wanted);
      const { errno, filled, fits } = await this.#reading((descriptor) =>
        readSealed(descriptor, position + from, target, from, length),
      );
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

  /** The error for damage at this place in the file. */
  damaged(position: number, what: string, cause?: unknown): IsmioError {
    return this.refused(position, `is damaged at byte ${position}: ${what}`, cause);
  }

  refused(position: number, what: string, cause?: unknown): IsmioError {
    const { path, size } = this;
    return new IsmioError('ERR_ISMIO_RECORDING', `${path} ${what}`, { path, position, size }, cause);
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

  /** Reads, unless it was closed; what the system says of a read that failed is told. */
  async #reading<T>(read: (descriptor: number) => Promise<T>): Promise<T> {
    if (this.#closed) throw unreadable(this.path, systemError(constants.errno.EBADF, 'read'));
    const reading = read(this.#descriptor);
    this.#reads.add(reading);
    try {
      return await reading;
    } catch (error) {
      throw unreadable(this.path, error as NodeJS.ErrnoException);
    } finally {
      this.#reads.delete(reading);
    }
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): IsmioError {
  const { code = 'unknown error' } = cause;
  return new IsmioError('ERR_ISMIO_OPEN', `cannot read ${path}: ${code}`, { path, errno: code }, cause);
}
