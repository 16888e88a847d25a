// What a driver is opened with, and what it tells.

/** How a driver is opened. */
export interface IsmOptions {
  /**
   * 'event': the function's interrupt is heard in the event loop. 'poll': it is not enabled, and the program calls `poll()`.
   * Default 'event'.
   */
  readonly interrupts?: 'event' | 'poll';
  /** Whether its streams, and disks, go by lanes, past the fabric, where the fabric has any. Default false. */
  readonly direct?: boolean;
}

/** What the function tells: an entry of its event queue. */
export interface IsmEvent {
  /** 'dmb', 'gid' (a function has gone, or come), 'software' (a peer has sent it), or the number of another type. */
  readonly type: 'dmb' | 'gid' | 'software' | number;
  /** What of it happened: of a GID, 7 says that it has gone. A peer's own code in a software event. */
  readonly code: number;
  /** The GID, or the token of the DMB, that it is about; of a software event, the GID of its sender. */
  readonly token: bigint;
  /** When, in the format of the TOD clock: 2^12 units a microsecond since 1900. */
  readonly time: bigint;
  /** 64 bits of the sender's, in a software event. */
  readonly info: bigint;
}

/** What a function says of itself: the response to QUERY_INFO. */
export interface IsmInfo {
  readonly version: number;
  /** Bytes of the longest DMB. */
  readonly maxLength: number;
  readonly state: bigint;
  readonly gid: bigint;
  /** How many DMBs it can have, and has. */
  readonly dmbs: { readonly most: number; readonly used: number };
  readonly vlanRequired: boolean;
  readonly vlans: readonly number[];
}

/** What a DMB is registered with. */
export interface DmbOptions {
  /** Bytes: 1 to 2^20. Memory comes in whole pages. */
  readonly length: number;
  /** GID of the one function that may move into it. */
  readonly peer: bigint;
  /** The VLAN id that both functions have. Default: none. */
  readonly vlan?: number;
}

/** How a move ends. */
export interface MoveOptions {
  /** Its last block sets this bit, 0 to 15, in the DMB's mask at the peer, and interrupts it. Default: no signal. */
  readonly signal?: number;
}
