// What a stream can be asked to be.
import { checkBetween, checkOptions, withDefaults } from '../../support/check.js';
import { rangeError, shown } from '../../support/errors.js';
import { fastestHeartbeat, longestRecord, type Mode, slowestHeartbeat } from './hello.js';
import { largestRing, smallestRing } from './layout.js';

/** What both `listen` and `connect` take. */
export interface StreamOptions {
  /** `'bytes'`: a stream of bytes. `'messages'`: whole records, a Duplex in object mode. Both ends have to say the same. */
  mode?: Mode;
  /** Bytes that the peer may send before they are read: a power of two from 4096 to 524288. Default 65536. */
  ring?: number;
  /** Milliseconds, 50 to 60000: this end sends something as often; one that is silent for two of its heartbeats is dead. Default 1000. */
  heartbeat?: number;
  /** In mode `'messages'`: the longest record that this end takes, in bytes. Default 1048576. */
  recordLimit?: number;
  /** Whether this end may go on writing after the peer has ended. Default false, as of `net.Socket`. */
  allowHalfOpen?: boolean;
  /** Milliseconds until a stream that does not come about is given up. Default 5000. */
  timeout?: number;
}

export type StreamSettings = Required<StreamOptions>;

const defaults: StreamSettings = {
  mode: 'bytes',
  ring: 65_536,
  heartbeat: 1000,
  recordLimit: 2 ** 20,
  allowHalfOpen: false,
  timeout: 5000,
};

/** @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE */
export function checkStreamOptions<More extends object>(
  options: unknown,
  more: More,
  where: string,
): StreamSettings & More {
  const all = { ...defaults, ...more };
  checkOptions(options, Object.keys(all), where);
  const settings = withDefaults(all, options as Partial<typeof all>) as StreamSettings & More;
  const { mode, ring, allowHalfOpen } = settings;
  if (mode !== 'bytes' && mode !== 'messages') throw wrongOption('mode', mode, "'bytes' or 'messages'");
  if (typeof allowHalfOpen !== 'boolean') throw wrongOption('allowHalfOpen', allowHalfOpen, 'true or false');
  checkBetween(ring, 'ring', smallestRing, largestRing);
  if ((ring & (ring - 1)) !== 0) throw wrongOption('ring', ring, 'a power of two');
  checkBetween(settings.heartbeat, 'heartbeat', fastestHeartbeat, slowestHeartbeat);
  checkBetween(settings.recordLimit, 'recordLimit', 1, longestRecord);
  checkBetween(settings.timeout, 'timeout', 1, 2 ** 31 - 1);
  return settings;
}

export function checkPort(port: number): number {
  return checkBetween(port, 'port', 0, 0xffff);
}

function wrongOption(name: string, value: unknown, allowed: string): Error {
  return rangeError('ERR_ISMIO_OPTION', `${name} must be ${allowed}, not ${shown(value)}`, { [name]: value });
}
