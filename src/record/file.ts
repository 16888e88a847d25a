// A recording's file as it is written: beside its place first, and given that when it is whole.
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { TextEncoder } from 'node:util';
import { placeOf } from '../support/files/place.js';
import { makeTemporary, moveTo } from '../support/files/write.js';
import { Draft } from './draft.js';
import { blockTypes, type End, endMagic, formatVersions, magic, preambleBytes, trailerBytes } from './format.js';
import { findPlace, recordingError } from './place.js';
import { BlockWriter } from './writer.js';

export class RecordingFile {
  readonly path: string;
  /** The same, whatever becomes of the working folder. */
  readonly #path: string;
  readonly #beside: string;
  readonly #writer: BlockWriter;
  #version = 0;
  /** 'named': it has its name, and what is written to it still goes there. */
  #state: 'recording' | 'named' | 'ended' = 'recording';

  /** @param failed is told what went wrong while nobody waited; the file is gone then */
  constructor(path: string, metadata: unknown, compress: boolean, failed: (error: unknown) => void = () => undefined) {
    this.path = path;
    this.#path = path.endsWith('/') ? path : resolve(path);
    const place = findPlace(this.#path);
    const { path: beside, file } = this.#trying(() => makeTemporary(place, { anywhere: true }), true);
    this.#beside = beside;
    this.#writer = new BlockWriter(file, preambleBytes, compress, (cause) => failed(this.#given(cause)));
    this.#trying(() => {
      this.#writePreamble(formatVersions.plain);
      this.#writer.add(new Draft(blockTypes.metadata, [json(metadata)], 0));
      this.#writer.flush();
    });
  }

  /** Has the file be of this version, or a later one. Before a block is added that an earlier one does not know. */
  need(version: number): void {
    if (this.#version < version) this.#trying(() => this.#writePreamble(version));
  }

  /** Adds a block of operations. Throws ERR_ISMIO_WRITE_FILE; the file is gone then. */
  add(block: Draft): void {
    this.#trying(() => this.#writer.add(block));
  }

  /** Writes every block that was added, now. */
  flush(): void {
    this.#trying(() => this.#writer.flush());
  }

  /** Resolves when nothing of the blocks so far is in the program's memory alone; null where nothing is. */
  reading(): Promise<void> | null {
    return this.#state === 'ended' ? null : this.#writer.reading();
  }

  /** Whether more can be added: not when it was written to a place that has it for good. */
  get open(): boolean {
    return this.#state !== 'ended';
  }

  /**
   * Writes the end, and gives the file its name. Where it cannot have that, it stays where it is, and is told. When it is
   * `open` then, more blocks may follow, behind which the end is written again.
   */
  finish(end: End): void {
    this.#trying(() => {
      this.#writer.writeLast(new Draft(blockTypes.end, [json(end)], 0), trailerOf);
      if (this.#state === 'recording') this.#writer.sync();
    });
    if (this.#state === 'named') return;
    this.#state = 'ended'; // whatever comes of it: what is whole is not taken away
    try {
      if (moveTo(this.#beside, placeOf(this.#path))) this.#state = 'named';
      else this.#writer.end();
    } catch (cause) {
      this.#writer.end();
      throw recordingError(this.path, cause, `it is whole, in ${this.#beside}`);
    }
  }

  /** Nothing more will be added to a file that is finished. */
  close(): void {
    this.#state = 'ended';
    this.#writer.end();
  }

  /** Takes away what is not whole. What became of it, in words. */
  discard(): string {
    const { open } = this;
    this.close();
    if (open) {
      try {
        rmSync(this.#beside, { force: true });
      } catch {
        return `what there is of it is in ${this.#beside}`;
      }
    }
    return 'nothing of it is kept';
  }

  #writePreamble(version: number): void {
    const preamble = new Uint8Array(preambleBytes);
    preamble.set(magic);
    new DataView(preamble.buffer).setUint32(magic.length, version, true);
    this.#writer.writePreamble(preamble);
    this.#version = version;
  }

  #given(cause: unknown): unknown {
    return recordingError(this.path, cause, this.discard());
  }

  #trying<T>(act: () => T, nothingYet = false): T {
    try {
      return act();
    } catch (cause) {
      throw nothingYet ? recordingError(this.path, cause, 'name another file') : this.#given(cause);
    }
  }
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** @param position of the last block */
function trailerOf(position: number): Uint8Array {
  const trailer = new Uint8Array(trailerBytes);
  new DataView(trailer.buffer).setBigUint64(0, BigInt(position), true);
  trailer.set(endMagic, 8);
  return trailer;
}
