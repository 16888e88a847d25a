// Commands of the NVM command set (6).
import type { Logs } from './logs.js';
import type { Medium } from './medium.js';
import type { Command } from './queues.js';
import { bytesOf, everyNamespace, io, limit, outcome } from './specification.js';

/** An outcome that comes later, or has come already, through the command's `end`. */
export const later = -1;

const forceUnitAccess = 1 << 30;
/** Attribute of Dataset Management: Deallocate (6.7). */
const deallocate = 1 << 2;
/** Of one command. */
const mostRanges = 256;

export class BlockCommands {
  readonly blocks: number;
  readonly blockBytes: number;
  readonly #medium: Medium;
  readonly #ranges = new Uint8Array(mostRanges * bytesOf.range);
  readonly #logs: Logs;
  /** Whether writes may be told as done before a loss of power would leave them. */
  readonly #cached: () => boolean;

  constructor(medium: Medium, blockBytes: number, logs: Logs, cached: () => boolean) {
    this.#medium = medium;
    this.#logs = logs;
    this.#cached = cached;
    this.blockBytes = blockBytes;
    this.blocks = Math.floor(medium.size / blockBytes);
  }

  execute(command: Command): number {
    const { opcode, namespace } = command;
    const all = opcode === io.flush && namespace === everyNamespace;
    if (namespace !== 1 && !all) {
      const isNone = namespace === 0 || namespace > limit.namespaces;
      return isNone ? outcome.invalidNamespace : outcome.invalidField;
    }
    if (opcode === io.read) return this.#read(command);
    if (opcode === io.write) return this.#write(command);
    if (opcode === io.flush) {
      this.#medium.flush(command.end);
      return later;
    }
    if (opcode === io.writeZeroes) return this.#writeZeroes(command);
    if (opcode === io.datasetManagement) return this.#manage(command);
    return outcome.invalidOpcode;
  }

  #read(command: Command): number {
    const { pages } = command;
    const length = this.#length(command);
    if (length > limit.transfer) return outcome.invalidField;
    if (!this.#has(this.#first(command), length)) return outcome.outOfRange;
    const taken = pages.take(command.first, command.second, length);
    if (taken !== outcome.success) return taken;
    this.#logs.reads++;
    this.#logs.bytesRead += length;
    this.#medium.read(pages, this.#first(command), length, command.end);
    return later;
  }

  #write(command: Command): number {
    const { pages } = command;
    const length = this.#length(command);
    if (length > limit.transfer) return outcome.invalidField;
    if (!this.#has(this.#first(command), length)) return outcome.outOfRange;
    if (this.#medium.readOnly) return outcome.writeProtected;
    const taken = pages.take(command.first, command.second, length);
    if (taken !== outcome.success) return taken;
    this.#logs.writes++;
    this.#logs.bytesWritten += length;
    this.#medium.write(pages, this.#first(command), length, this.#durable(command), command.end);
    return later;
  }

  #writeZeroes(command: Command): number {
    const length = this.#length(command);
    if (!this.#has(this.#first(command), length)) return outcome.outOfRange;
    if (this.#medium.readOnly) return outcome.writeProtected;
    this.#medium.zero(this.#first(command), length, this.#durable(command), command.end);
    return later;
  }

  /** Ranges of blocks (6.7): what they are told for, other than to deallocate them, is a hint that is not used here. */
  #manage(command: Command): number {
    const count = (command.word(10) & 0xff) + 1;
    const bytes = this.#ranges.subarray(0, count * bytesOf.range);
    const taken = command.pages.take(command.first, command.second, bytes.length);
    if (taken !== outcome.success) return taken;
    const got = command.pages.get(bytes);
    if (got !== outcome.success || (command.word(11) & deallocate) === 0) return got;
    if (this.#medium.readOnly) return outcome.writeProtected;
    const view = new DataView(bytes.buffer);
    const pieces = Array.from({ length: count }, (_, i) => {
      const at = i * bytesOf.range;
      const first = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32;
      return { position: first * this.blockBytes, length: view.getUint32(at + 4, true) * this.blockBytes };
    });
    if (!pieces.every(({ position, length }) => this.#has(position, length))) return outcome.outOfRange;
    for (const { position, length } of pieces) this.#medium.discard(position, length);
    return outcome.success;
  }

  #durable(command: Command): boolean {
    return (command.word(12) & forceUnitAccess) !== 0 || !this.#cached();
  }

  /** Exact wherever it lies in the medium, whose size is exact; far behind that, wherever it may be. */
  #first(command: Command): number {
    return (command.word(10) + command.word(11) * 2 ** 32) * this.blockBytes;
  }

  #length(command: Command): number {
    return ((command.word(12) & 0xffff) + 1) * this.blockBytes;
  }

  #has(position: number, length: number): boolean {
    return position + length <= this.blocks * this.blockBytes;
  }
}
