// Where `ismio write` has its bytes from: an option, a file, or what is piped in.
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs';
import { IsmioError } from '../support/errors.js';
import { fileError, usageError } from './failure.js';

export interface SourceOptions {
  file?: string;
  hex?: string;
  text?: string;
}

/** Bytes in pieces. The length is known before the first of them. */
export interface Source {
  readonly length: number;
  pieces(sizes: Iterable<number>): Iterable<Uint8Array>;
}

/** @param room more bytes than this are not wanted: a longer pipe is refused before anything is written */
export async function openSource(options: SourceOptions, room: number): Promise<Source> {
  const { file, hex, text } = options;
  if ([file, hex, text].filter((one) => one !== undefined).length > 1) {
    throw usageError('give only one of --file, --hex and --text');
  }
  if (text !== undefined) return sourceOf(Buffer.from(text));
  if (hex !== undefined) return sourceOf(bytesOfHex(hex));
  if (file !== undefined) return fileSource(file, room);
  if (process.stdin.isTTY) throw usageError('nothing to write: give --file, --hex or --text, or pipe the bytes in');
  return sourceOf(await collect(process.stdin, room, 'standard input'));
}

function bytesOfHex(text: string): Buffer {
  const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '');
  if (/^([0-9a-f]{2})+$/i.test(digits)) return Buffer.from(digits, 'hex');
  throw usageError(`--hex takes pairs of hex digits, such as 'de ad be ef', not '${text}'`);
}

function sourceOf(bytes: Uint8Array): Source {
  function* pieces(sizes: Iterable<number>): Generator<Uint8Array> {
    let at = 0;
    for (const size of sizes) {
      yield bytes.subarray(at, at + size);
      at += size;
    }
  }
  return { length: bytes.length, pieces };
}

async function fileSource(path: string, room: number): Promise<Source> {
  const { isFile, size } = attempt(path, () => {
    const stat = statSync(path);
    return { isFile: stat.isFile(), size: stat.size };
  });
  if (!isFile) return sourceOf(await collect(createReadStream(path), room, path));
  return { length: size, pieces: (sizes) => piecesOfFile(path, sizes) };
}

function* piecesOfFile(path: string, sizes: Iterable<number>): Generator<Uint8Array> {
  const descriptor = attempt(path, () => openSync(path, 'r'));
  try {
    for (const size of sizes) {
      const piece = Buffer.alloc(size);
      const got = attempt(path, () => readSync(descriptor, piece));
      if (got < size) throw becameShorter(path);
      yield piece;
    }
  } finally {
    closeSync(descriptor);
  }
}

function becameShorter(path: string): IsmioError {
  return new IsmioError('ERR_ISMIO_FILE_TOO_SHORT', `${path} became shorter while it was read`, { path });
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fileError(path, error);
  }
}

async function collect(stream: NodeJS.ReadableStream, room: number, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > room) break;
    }
  } catch (error) {
    throw fileError(name, error);
  }
  if (length <= room) return Buffer.concat(chunks);
  const text = `${name} has more than the ${room} bytes there are from the offset to the end of the region; nothing was written`;
  throw new IsmioError('ERR_ISMIO_OUT_OF_RANGE', text, { size: room });
}
