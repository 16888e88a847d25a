// A direct memory buffer: memory of this process that one peer moves into.
import { EventEmitter } from 'node:events';

/** What a DMB emits. */
export interface DmbEvents {
  /** The peer has signalled: `mask` has a bit for each of the 16 signals that came since the last time. Signals are hints. */
  signal: [mask: number];
  /** It was unregistered. */
  close: [];
}

/** Made by `ism.registerDmb()`. */
export class Dmb extends EventEmitter<DmbEvents> {
  /** What the peer moves into it. Shared memory: read words that matter with Atomics, or copy them before they are looked at. */
  readonly memory: Uint8Array;
  /** By which the peer knows it. */
  readonly token: bigint;
  /** Of its bit in the signal bits area. */
  readonly index: number;
  /** GID of the one function that may move into it. */
  readonly peer: bigint;
  readonly #unregister: () => void;
  #registered = true;

  /** @internal */
  constructor(memory: Uint8Array, token: bigint, index: number, peer: bigint, unregister: () => void) {
    super();
    this.memory = memory;
    this.token = token;
    this.index = index;
    this.peer = peer;
    this.#unregister = unregister;
  }

  get length(): number {
    return this.memory.length;
  }

  /** Whether the peer can move into it. */
  get registered(): boolean {
    return this.#registered;
  }

  /** Takes it back: when this returns, no move reaches its memory any more. Again: does nothing. */
  unregister(): void {
    if (!this.#registered) return;
    this.#unregister();
    this.#registered = false;
    this.emit('close');
  }

  [Symbol.dispose](): void {
    this.unregister();
  }
}
