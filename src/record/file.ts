// A recording's file as it is written: beside its place first, and renamed when it is whole.
import { closeSync, fsyncSync, renameSync, rmSync, writeSync } from 'node:fs';
import { native } from '../binding.js';
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
import { checkPlace, openBeside, writeError } from './place.js';

/** So many bytes tell whether the rest is worth deflating. */
const sampleBytes = 1 << 16;
/** It is, when this share of them is left at most. */
const worthwhile = 0.8;
const level = 4;

export class RecordingFile {
  readonly path: string;
  readonly #compress: boolean;
  readonly #beside: string;
  /** Null when it is whole, or gone. */
  #file: number | null;
  /** The block that is put together; used again for the next. */
  #buffer = new Uint8Array(0);
  #position = 0;
  #blocks = 0;

  constructor(path: string, metadata: unknown, compress: boolean) {
    checkPlace(path);
    this.path = path;
    this.#compress = compress;
    const { beside, file } = openBeside(path);
    this.#beside = beside;
    this.#file = file;
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

  /** Writes the end and gives the file its name. Where it cannot have that, it stays where it is, and is told. */
  finish(end: unknown): void {
    this.#trying(() => {
      const at = this.#position;
      this.#block(blockTypes.end, [json(end)], 0);
      const trailer = new Uint8Array(trailerBytes);
      new DataView(trailer.buffer).setBigUint64(0, BigInt(at), true);
      trailer.set(endMagic, 8);
      this.#write(trailer);
      fsyncSync(this.#file as number);
    });
    this.#close();
    try {
      renameSync(this.#beside, this.path);
    } catch (cause) {
      throw writeError(this.path, cause, `it is whole, in ${this.#beside}`);
    }
  }

  /** Takes away what is not whole. What became of it, in words. */
  discard(): string {
    if (this.#file !== null) {
      try {
        this.#close();
        rmSync(this.#beside, { force: true });
      } catch {
        return `what there is of it is in ${this.#beside}`;
      }
    }
    return 'nothing of it is kept';
  }

  #trying(act: () => void): void {
    try {
      act();
    } catch (cause) {
      throw writeError(this.path, cause, this.discard());
    }
  }

  #close(): void {
    const file = this.#file as number;
    this.#file = null; // whatever comes of it, the number is not this file's any more
    closeSync(file);
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
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#file as number, bytes, done);
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
