// Commands of the admin command set (5).
import type { DoorbellBuffers } from './doorbells.js';
import type { Features } from './features.js';
import { type Identity, identified } from './identify.js';
import type { Logs } from './logs.js';
import type { QueueSet } from './queue-set.js';
import type { Command } from './queues.js';
import { admin, bytesOf, outcome } from './specification.js';

/** A command that is completed when an event comes: its entry is the host's again, its id is not. */
export const held = -2;

export interface AdminParts {
  readonly identity: Identity;
  readonly queues: QueueSet;
  readonly features: Features;
  readonly logs: Logs;
  readonly doorbells: DoorbellBuffers;
  /** Whether CC has the sizes of the entries of I/O queues. */
  readonly entrySizesSet: () => boolean;
  readonly keptAlive: () => void;
  /** Completes a command that waited for an event. */
  readonly tell: (command: number, event: number) => void;
}

/** Log pages are told without an event of theirs being told again (5.14). */
const retainEvents = 1 << 15;

export class AdminCommands {
  readonly #parts: AdminParts;
  readonly #data = new Uint8Array(bytesOf.identify);

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  execute(command: Command): number {
    const { queues, features, doorbells } = this.#parts;
    switch (command.opcode) {
      case admin.identify:
        return this.#identify(command);
      case admin.createCompletionQueue:
        return this.#parts.entrySizesSet() ? queues.createCompletions(command) : outcome.invalidField;
      case admin.createSubmissionQueue:
        return this.#parts.entrySizesSet() ? queues.createSubmissions(command) : outcome.invalidField;
      case admin.deleteSubmissionQueue:
        return queues.deleteSubmissions(command);
      case admin.deleteCompletionQueue:
        return queues.deleteCompletions(command);
      case admin.setFeatures:
        return features.set(command, queues.created);
      case admin.getFeatures:
        return features.get(command);
      case admin.getLogPage:
        return this.#logPage(command);
      case admin.asynchronousEvent:
        return this.#waitForEvent(command);
      case admin.abort:
        return this.#abort(command);
      case admin.keepAlive:
        this.#parts.keptAlive();
        return outcome.success;
      case admin.doorbellBuffers:
        return doorbells.set(command);
      default:
        return outcome.invalidOpcode;
    }
  }

  #identify(command: Command): number {
    const told = identified(this.#parts.identity, command.word(10) & 0xff, command.namespace, this.#data);
    return told === outcome.success ? put(command, this.#data) : told;
  }

  #logPage(command: Command): number {
    const dwords = ((command.word(10) >>> 16) | ((command.word(11) & 0xffff) << 16)) >>> 0;
    const offset = command.word(12) + command.word(13) * 2 ** 32;
    const number = command.word(10) & 0xff;
    const page = this.#parts.logs.page(number, command.namespace);
    if (typeof page === 'number') return page;
    if (offset % 4 !== 0 || offset > page.length) return outcome.invalidField;
    const part = page.subarray(offset, offset + (dwords + 1) * 4);
    const told = part.length === 0 ? outcome.success : put(command, part);
    if (told === outcome.success && (command.word(10) & retainEvents) === 0) {
      this.#parts.logs.read(number, this.#parts.tell);
    }
    return told;
  }

  #waitForEvent(command: Command): number {
    const { logs, tell } = this.#parts;
    const waits = logs.wait(command.id, tell);
    return waits === outcome.success ? held : waits;
  }

  /** Of commands that can wait for long, there are those for an event. What is not aborted is told by bit 0 (5.1). */
  #abort(command: Command): number {
    const [queue, id] = [command.word(10) & 0xffff, command.word(10) >>> 16];
    const aborted = queue === 0 && this.#parts.logs.abort(id);
    if (aborted) command.queue.completions.post(command.queue, id, outcome.abortRequested, 0);
    command.result = aborted ? 0 : 1;
    return outcome.success;
  }
}

function put(command: Command, bytes: Uint8Array): number {
  const taken = command.pages.take(command.first, command.second, bytes.length);
  return taken === outcome.success ? command.pages.put(bytes) : taken;
}
