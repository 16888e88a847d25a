// The hello, with which each end says what it has, or why it refuses.
import {
  checkOf,
  get,
  hello,
  helloLength,
  helloOffset,
  largestRing,
  magic,
  put,
  smallestRing,
  version,
} from './layout.js';
import type { Reason } from './reasons.js';

export type Mode = 'bytes' | 'messages';
const modes: readonly Mode[] = ['bytes', 'messages'];

/**
 * Heartbeats that are taken, in milliseconds. Who takes one looks four times in it: a faster one keeps its thread busy, by the
 * peer's word alone, and is nearer to the 20 ms that a late signal has. A slower one hides a death.
 */
export const fastestHeartbeat = 50;
export const slowestHeartbeat = 60_000;
/** The longest record that may be agreed on. */
export const longestRecord = 2 ** 30;

/** What the two ends have to agree on, and what each has. */
export interface Hello {
  readonly port: number;
  readonly mode: Mode;
  readonly epoch: number;
  /** The epoch in the hello that this one answers; 0 in the first. */
  readonly answers: number;
  readonly token: bigint;
  readonly ring: number;
  readonly heartbeat: number;
  /** The longest record that is taken; 0 of a stream of bytes. */
  readonly recordLimit: number;
}

/** What somebody who refuses says. */
export interface Refusal {
  readonly port: number;
  readonly reason: number;
}

export function writeHello(said: Hello | Refusal): Uint8Array {
  const view = new DataView(new ArrayBuffer(helloLength));
  put(view, hello.magic, magic);
  put(view, hello.version, version);
  put(view, hello.port, said.port);
  if ('reason' in said) put(view, hello.reason, said.reason);
  else {
    put(view, hello.mode, modes.indexOf(said.mode));
    put(view, hello.epoch, said.epoch);
    put(view, hello.answers, said.answers);
    view.setBigUint64(hello.token.offset, said.token);
    put(view, hello.ring, said.ring);
    put(view, hello.heartbeat, said.heartbeat);
    put(view, hello.recordLimit, said.recordLimit);
  }
  put(view, hello.check, checkOf(view, helloLength));
  return new Uint8Array(view.buffer);
}

/** A hello that breaks a rule, or does not fit what is expected. */
export interface WrongHello {
  readonly wrong: Reason;
  /** The DMB of its sender, where it says one. */
  readonly token: bigint;
}

/** What this end expects of a hello. */
export interface Expected {
  readonly port: number;
  readonly mode: Mode;
  readonly answers: number;
  /** Where it is known before. */
  readonly token?: bigint;
}

/**
 * The hello in a DMB, from a copy that nobody changes.
 * @returns null where none is there (yet), or only a part of it
 */
export function readHello(memory: Uint8Array, expected: Expected): Hello | Refusal | WrongHello | null {
  const copy = memory.slice(helloOffset, helloOffset + helloLength);
  const view = new DataView(copy.buffer);
  if (get(view, hello.check) !== checkOf(view, helloLength)) return null;
  const wrong = wrongIn(view, expected);
  const token = view.getBigUint64(hello.token.offset);
  if (wrong !== null) return { wrong, token };
  const port = get(view, hello.port);
  const reason = get(view, hello.reason);
  if (reason !== 0) return { port, reason };
  return {
    port,
    mode: expected.mode,
    epoch: get(view, hello.epoch),
    answers: get(view, hello.answers),
    token,
    ring: get(view, hello.ring),
    heartbeat: get(view, hello.heartbeat),
    recordLimit: get(view, hello.recordLimit),
  };
}

function wrongIn(view: DataView, expected: Expected): Reason | null {
  if (get(view, hello.magic) !== magic) return 'magic';
  if (get(view, hello.version) !== version) return 'version';
  if (get(view, hello.port) !== expected.port) return 'port';
  if (get(view, hello.reserved) + get(view, hello.spare) + get(view, hello.spare2) !== 0) return 'reserved';
  return get(view, hello.reason) === 0 ? wrongToOpen(view, expected) : null;
}

function wrongToOpen(view: DataView, expected: Expected): Reason | null {
  const token = view.getBigUint64(hello.token.offset);
  const ring = get(view, hello.ring);
  const heartbeat = get(view, hello.heartbeat);
  const limit = get(view, hello.recordLimit);
  if (modes[get(view, hello.mode)] !== expected.mode) return 'mode';
  if (get(view, hello.epoch) === 0) return 'epoch';
  if (get(view, hello.answers) !== expected.answers) return 'answers';
  if (expected.token !== undefined && token !== expected.token) return 'token';
  if (ring < smallestRing || ring > largestRing || (ring & (ring - 1)) !== 0) return 'ring';
  if (heartbeat < fastestHeartbeat || heartbeat > slowestHeartbeat) return 'heartbeat';
  const isLimit = expected.mode === 'bytes' ? limit === 0 : limit >= 1 && limit <= longestRecord;
  return isLimit ? null : 'recordLimit';
}
