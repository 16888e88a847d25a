// Why a stream ended or was refused, as numbers of the wire and as words, and the errors that say it.
import { IsmioError } from '../../support/errors.js';

/** The numbers of the field `reason`, in a control block with the flag abort and in a hello that refuses. */
export const reasons = {
  // the program at the other end
  destroyed: 1,
  failed: 2,
  silent: 3,
  unread: 4,
  // a rule that the receiver of the reason broke: the name of the field, or of what was wrong with it
  check: 16,
  epoch: 17,
  sequence: 18,
  flags: 19,
  reserved: 20,
  prod: 21,
  cons: 22,
  text: 23,
  end: 24,
  done: 25,
  arms: 26,
  answers: 27,
  reason: 28,
  record: 29,
  // a stream that is refused
  noListener: 64,
  full: 65,
  version: 66,
  magic: 67,
  mode: 68,
  port: 69,
  token: 70,
  ring: 71,
  heartbeat: 72,
  recordLimit: 73,
  timeout: 74,
  peerFull: 75,
} as const;
export type Reason = keyof typeof reasons;

const names = new Map<number, Reason>(Object.entries(reasons).map(([name, number]) => [number, name as Reason]));

/** The word of a number that a peer sent: its own words may be more than ours. */
export function reasonOf(number: number): Reason | `reason ${number}` {
  return names.get(number) ?? `reason ${number}`;
}

/** The peer broke a rule of docs/ism-stream.md; `reason` is the field that says so. */
export function breach(reason: Reason, text: string, values: Record<string, unknown> = {}): IsmioError {
  const message = `the peer broke the stream's protocol (${reason}): ${text}. The stream has ended; the peer was told`;
  return new IsmioError('ERR_ISMIO_ISM_STREAM', message, { reason, ...values });
}

const meanings: Partial<Record<Reason, string>> = {
  destroyed: 'its program destroyed it before both directions had ended',
  failed: 'its program destroyed it with an error, which stays there',
  silent: 'it heard nothing from here for two heartbeats',
  unread: 'both directions had ended, and nothing of the rest was read here for a minute',
  noListener: 'nobody listens there',
  full: 'it has as many streams as it takes; ask again later',
  peerFull: 'it has as many streams of this function as it takes; close some, or ask again later',
  version: 'it speaks another version of the protocol',
  mode: 'one end wants bytes, and the other messages',
  timeout: 'it waited in vain for this end',
};

/** A reason as its word of the wire, and what that means. */
export function inWords(reason: string): string {
  const text = meanings[reason as Reason];
  return `(${reason})${text === undefined ? '' : `: ${text}`}`;
}

/** The same of a number that a peer gave for a stream which it ends or refuses. */
export function saidInWords(number: number): string {
  const isRule = number >= reasons.check && number <= reasons.record;
  return `${inWords(reasonOf(number))}${isRule ? ': it says that this end broke the protocol' : ''}`;
}

/** The peer gave the stream up. */
export function aborted(number: number): IsmioError {
  const reason = reasonOf(number);
  return new IsmioError('ERR_ISMIO_ISM_ABORTED', `the peer gave the stream up ${saidInWords(number)}`, { reason });
}

/** The peer is gone. */
export function dead(text: string, cause?: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_ISM_PEER_DIED', `${text}. Connect anew when it is back`, {}, cause);
}
