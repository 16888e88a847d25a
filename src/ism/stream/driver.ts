// What streams ask of the driver of an ISM function.

/** Memory that one peer may move into. */
export interface StreamDmb {
  readonly memory: Uint8Array;
  readonly token: bigint;
  on(event: 'signal', told: (mask: number) => void): unknown;
  unregister(): void;
}

/** An entry of the function's event queue; of a software event, `token` is the GID of its sender. */
export interface StreamEvent {
  readonly type: string | number;
  readonly code: number;
  readonly token: bigint;
  readonly info: bigint;
}

/** A way into the memory of a token, which is as `move` of a driver. */
export interface StreamWay {
  /** Whether it goes past the fabric: a move is a store into memory, and no message. */
  readonly isLane: boolean;
  move(offset: number, bytes: Uint8Array, options?: { readonly signal?: number }): void;
  close(): void;
}

export interface StreamDriver {
  readonly gid: bigint;
  /** Whether it takes blocks of certain lengths alone, of which no stream of bytes can be made. */
  readonly strict?: boolean;
  registerDmb(options: { readonly length: number; readonly peer: bigint }): StreamDmb;
  /** Returns when the bytes are there; throws an IsmioError when they are not. */
  move(token: bigint, offset: number, bytes: Uint8Array, options?: { readonly signal?: number }): void;
  /** The shortest way to the same. Left out: `move`. */
  way?(token: bigint): StreamWay;
  signal(peer: bigint, event: { readonly code: number; readonly info: bigint }): void;
  on(event: 'event', told: (event: StreamEvent) => void): unknown;
  on(event: 'gone', told: (gid: bigint) => void): unknown;
  on(event: 'close', told: () => void): unknown;
}

/** The colour of a stream's signals. They are hints, so one is enough. */
export const colour = { signal: 0 } as const;
