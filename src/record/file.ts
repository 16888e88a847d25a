// A recording's file as it is written: beside its place first, and renamed when it is whole.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { native } from '../binding.js';
import { IsmioError } from '../errors.js';
import { zlib } from './builtins.js';
import {
  blockHeaderBytes,
  blockMagic,
  blockTypes,
  codings,
  endMagic,
  formatVersion,
  magic,
  preambleBytes,
  trailerBytes,
} from './format.js';

/** So many bytes tell whether the rest is worth deflating. */
const sampleBytes = 1 << 16;
/** It is, when this share of them is left at most. */
const worthwhile = 0.8;
const level = 4;

/** Of this thread, so far: no two are written to the same place. */
let files = 0;

export class RecordingFile {
  readonly path: string;
  readonly #compress: boolean;
  readonly #beside: string;
  readonly #file: number;
  /** The block that is put together; used again for the next. */
  #buffer = new Uint8Array(0);
  #position = 0;
  #blocks = 0;

  constructor(path: string, metadata: unknown, compress: boolean) {
    this.path = path;
    this.#compress = compress;
    this.#beside = join(dirname(path), `.${basename(path)}.${process.pid}-${threadId}-${files++}.tmp`);
    this.#file = this.#trying(() => openSync(this.#beside, 'w'));
    this.#trying(() => {
      const preamble = new Uint8Array(preambleBytes);
      preamble.set(magic);
      new DataView(preamble.buffer).setUint32(magic.length, formatVersion, true);
      this.#write(preamble);
      this.#block(blockTypes.metadata, [json(metadata)], 0);
    });
  }

  /** Adds a block of operations. Throws ERR_ISMIO_WRITE_FILE; the file is gone then. */
  operations(parts: readonly Uint8Array[], operations: number): void {
    this.#trying(() => this.#block(blockTypes.operations, parts, operations));
  }

  /** Writes the end and gives the file its name. */
  finish(end: unknown): void {
    this.#trying(() => {
      const at = this.#position;
      this.#block(blockTypes.end, [json(end)], 0);
      const trailer = new Uint8Array(trailerBytes);
      new DataView(trailer.buffer).setBigUint64(0, BigInt(at), true);
      trailer.set(endMagic, 8);
      this.#write(trailer);
      fsyncSync(this.#file);
      renameSync(this.#beside, this.path);
    });
    closeSync(this.#file);
  }

  #trying<T>(act: () => T): T {
    try {
      return act();
    } catch (cause) {
      this.#discard();
      const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
      throw new IsmioError(
        'ERR_ISMIO_WRITE_FILE',
        `cannot write the recording ${this.path}: ${code}; nothing of it is kept`,
        { path: this.path, errno: code },
        cause,
      );
    }
  }

  #discard(): void {
    if (this.#file === undefined) return; // it could not be made
    closeSync(this.#file);
    rmSync(this.#beside, { force: true });
  }

  #block(type: number, parts: readonly Uint8Array[], operations: number): void {
    const content = this.#gather(parts);
    const raw = content.length;
    const deflated = this.#compress ? deflate(content) : null;
    if (deflated !== null) content.set(deflated);
    const stored = deflated?.length ?? raw;
    const padded = Math.ceil(stored / 16) * 16;
    const block = this.#buffer.subarray(0, blockHeaderBytes + padded);
    block.fill(0, 0, blockHeaderBytes).fill(0, blockHeaderBytes + stored);
    const fields = new DataView(block.buffer, blockHeaderBytes / 2);
    fields.setUint32(0, blockMagic, true);
    fields.setUint8(4, type);
    fields.setUint8(5, deflated === null ? codings.plain : codings.deflated);
    fields.setUint32(8, stored, true);
    fields.setUint32(12, raw, true);
    fields.setUint32(16, operations, true);
    fields.setUint32(20, this.#blocks++, true);
    fields.setBigUint64(24, BigInt(this.#position), true);
    native.seal(block);
    this.#write(block);
  }

  /** One piece of the parts, with room for the header before it and for what fills it up behind. */
  #gather(parts: readonly Uint8Array[]): Uint8Array {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const needed = blockHeaderBytes + length + 16;
    if (this.#buffer.length < needed) this.#buffer = new Uint8Array(2 * needed);
    let at = blockHeaderBytes;
    for (const part of parts) {
      this.#buffer.set(part, at);
      at += part.length;
    }
    return this.#buffer.subarray(blockHeaderBytes, at);
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done);
    this.#position += bytes.length;
  }
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Null where it would not be much shorter. */
function deflate(content: Uint8Array): Uint8Array | null {
  const { deflateRawSync } = zlib();
  const sample = content.subarray(0, sampleBytes);
  if (deflateRawSync(sample, { level: 1 }).length > sample.length * worthwhile) return null;
  const deflated = deflateRawSync(content, { level });
  return deflated.length > content.length * worthwhile ? null : deflated;
}
