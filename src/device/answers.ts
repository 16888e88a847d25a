// Where the addon asks the JavaScript of this thread what its devices answer.
import { constants } from 'node:os';
import { native } from '../addon/binding.js';
import type { Handled } from '../addon/wire.js';
import { type Later, word } from './bar.js';

const { EIO, ENODEV } = constants.errno;

/**
 * What is asked. Up to 8 bytes are in `word`; of a longer load `bytes` is to be filled. Of what was refused, the word has the
 * errno and how many bytes were to be written.
 */
export interface Question {
  readonly kind: Handled;
  readonly region: number;
  readonly offset: number;
  readonly length: number;
  readonly bytes: Uint8Array | undefined;
}

export interface Answering {
  /** Throws what refuses it. */
  answer(question: Question): Later<unknown>;
  /** What a handler threw. */
  threw(error: unknown): void;
}

const devices = new Map<number, Answering>();
let last = 0;
let tickets = 0;

/** The number by which the addon asks for it, until `forget`. */
export function answerFor(device: Answering): number {
  if (last++ === 0) native.devices.answerBy(answer, word, () => setImmediate(() => native.devices.serve()));
  devices.set(last, device);
  return last;
}

export function forget(number: number): void {
  devices.delete(number);
}

function answer(
  number: number,
  kind: Handled,
  region: number,
  offset: number,
  length: number,
  bytes: Uint8Array | undefined,
): number {
  const device = devices.get(number);
  if (device === undefined) return ENODEV;
  try {
    const later = device.answer({ kind, region, offset, length, bytes });
    return later instanceof Promise ? -promised(device, later, bytes) : 0;
  } catch (error) {
    device.threw(error);
    return EIO;
  }
}

function promised(device: Answering, later: Promise<unknown>, bytes: Uint8Array | undefined): number {
  const ticket = ++tickets;
  later.then(
    (loaded) => {
      if (loaded instanceof Uint8Array) word.set(loaded); // of all accesses: others have had it meanwhile
      native.devices.settle(ticket, 0, bytes);
    },
    (error: unknown) => {
      device.threw(error);
      native.devices.settle(ticket, EIO, bytes);
    },
  );
  return ticket;
}
