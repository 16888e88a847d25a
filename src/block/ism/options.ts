// What serving a disk over ISM, and opening one, can be told.
import { checkPort, type StreamOptions } from '../../ism/stream/options.js';
import { checkKey } from '../../ism/talk/key.js';
import { checkSignal } from '../../support/abort.js';
import { checkBetween, checkFlag, checkOptions, checkWord } from '../../support/check.js';
import { rangeError, typeError } from '../../support/errors.js';
import type { BlockDevice } from '../disk.js';
import { defaultPort, limits } from './wire.js';

/** Who may have a disk, by GID, which the fabric vouches for. */
export interface BlockAccess {
  /** Functions that may write. Default: all that may read. */
  readonly write?: readonly bigint[];
  /** Functions that may read. Default: every function of the fabric. */
  readonly read?: readonly bigint[];
}

/** What `serveBlock` takes. */
export interface ServeBlockOptions {
  /** Of the function, 0 to 65535. Default 10809. */
  readonly port?: number;
  /** Requests of one initiator that may be in flight: 1 to 128. Default 64. */
  readonly slots?: number;
  /** Bytes of the longest request, a power of two from 4096 to 2^20; initiators split what is longer. Default 65536. */
  readonly ioBytes?: number;
  /** Nobody may write. Default: as the disk is. */
  readonly readOnly?: boolean;
  readonly access?: BlockAccess;
  /** Who has it may have the disk; 16 bytes or more. Default: whoever is on the fabric. */
  readonly key?: string | Uint8Array;
  /** Initiators at a time. Default 16. */
  readonly maxInitiators?: number;
  /** Data have a CRC32C, which whoever takes them checks; also where the initiator alone asks for it. Default false. */
  readonly dataDigest?: boolean;
  /** Milliseconds that `close` waits for initiators to have their answers. Default 2000. */
  readonly grace?: number;
  /** Of the streams. */
  readonly stream?: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  /** Closes it. */
  readonly signal?: AbortSignal;
}

export interface Serving {
  readonly port: number;
  readonly slots: number;
  readonly ioBytes: number;
  readonly readOnly: boolean;
  readonly access: BlockAccess;
  readonly key: Uint8Array | null;
  readonly maxInitiators: number;
  readonly dataDigest: boolean;
  readonly grace: number;
  readonly stream: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  readonly signal: AbortSignal | undefined;
}

const serveNames = [
  'port',
  'slots',
  'ioBytes',
  'readOnly',
  'access',
  'key',
  'maxInitiators',
  'dataDigest',
  'grace',
  'stream',
  'signal',
];
const longestTime = 2 ** 31 - 1;

export function checkServe(disk: BlockDevice, options: ServeBlockOptions): Serving {
  checkOptions(options, serveNames, 'serveBlock');
  const { port = defaultPort, slots = 64, ioBytes = 65_536, readOnly = disk.readOnly, access = {} } = options;
  const { key, maxInitiators = 16, dataDigest = false, grace = 2000, stream = {}, signal } = options;
  checkBetween(ioBytes, 'ioBytes', limits.ioBytes.least, limits.ioBytes.most);
  if (!Number.isInteger(Math.log2(ioBytes))) {
    throw rangeError('ERR_ISMIO_OPTION', `ioBytes must be a power of two, not ${ioBytes}`, { ioBytes });
  }
  if (disk.readOnly && !readOnly) {
    throw rangeError('ERR_ISMIO_OPTION', `readOnly cannot be false: ${disk.name} is read-only`, { readOnly });
  }
  checkOptions(stream, ['ring', 'heartbeat'], 'stream');
  return {
    ...{ port: checkPort(port), ioBytes, stream, key: checkKey(key), access: checkAccess(access) },
    slots: checkBetween(slots, 'slots', limits.slots.least, limits.slots.most),
    readOnly: checkFlag(readOnly, 'readOnly'),
    maxInitiators: checkBetween(maxInitiators, 'maxInitiators', 1, 256),
    dataDigest: checkFlag(dataDigest, 'dataDigest'),
    grace: checkBetween(grace, 'grace', 0, 600_000),
    signal: checkSignal(signal, 'serveBlock'),
  };
}

function checkAccess(access: BlockAccess): BlockAccess {
  checkOptions(access, ['write', 'read'], 'access');
  for (const [name, gids] of Object.entries(access)) {
    if (gids !== undefined && !(Array.isArray(gids) && gids.every((gid) => typeof gid === 'bigint'))) {
      const text = `access.${name} must be an array of GIDs, each a bigint`;
      throw typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { [name]: gids });
    }
  }
  return access;
}

export type Permission = 'none' | 'read' | 'write';

export function permissionOf({ write, read }: BlockAccess, gid: bigint): Permission {
  if (write?.includes(gid) === true) return 'write';
  if (read !== undefined) return read.includes(gid) ? 'read' : 'none';
  return write === undefined ? 'write' : 'read';
}

/**
 * What happens to requests when the target was lost, by the names of Linux ublk: 'fail-all' fails them; 'queue-new' fails what was
 * in flight, and has what comes wait; 'queue-and-replay' has both wait, and asks anew.
 */
export type LossMode = 'fail-all' | 'queue-new' | 'queue-and-replay';

/** What `openBlock` takes. */
export interface OpenBlockOptions {
  readonly port?: number;
  /** Nothing will be written: others may write meanwhile. Default: as the disk is served. */
  readonly readOnly?: boolean;
  readonly key?: string | Uint8Array;
  /** Default 'queue-and-replay'. */
  readonly mode?: LossMode;
  /** Milliseconds that requests wait for a target that was lost; then they fail, until it is back. Default 30000. */
  readonly timeout?: number;
  /** Data have a CRC32C, which whoever takes them checks; also where the target alone wants it. Default false. */
  readonly dataDigest?: boolean;
  /** Milliseconds that `close` waits for what is in flight. Default 2000. */
  readonly grace?: number;
  readonly stream?: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  /** Closes it. */
  readonly signal?: AbortSignal;
}

export interface Opening {
  readonly port: number;
  readonly readOnly: boolean;
  readonly key: Uint8Array | null;
  readonly mode: LossMode;
  readonly timeout: number;
  readonly dataDigest: boolean;
  readonly grace: number;
  readonly stream: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  readonly signal: AbortSignal | undefined;
}

const openNames = ['port', 'readOnly', 'key', 'mode', 'timeout', 'dataDigest', 'grace', 'stream', 'signal'];

export function checkOpen(options: OpenBlockOptions): Opening {
  checkOptions(options, openNames, 'openBlock');
  const { port = defaultPort, readOnly = false, key, mode = 'queue-and-replay', timeout = 30_000 } = options;
  const { dataDigest = false, grace = 2000, stream = {}, signal } = options;
  checkOptions(stream, ['ring', 'heartbeat'], 'stream');
  return {
    ...{ port: checkPort(port), readOnly: checkFlag(readOnly, 'readOnly'), key: checkKey(key), stream },
    mode: checkWord(mode, 'mode', ['fail-all', 'queue-new', 'queue-and-replay']),
    dataDigest: checkFlag(dataDigest, 'dataDigest'),
    timeout: checkBetween(timeout, 'timeout', 0, longestTime),
    grace: checkBetween(grace, 'grace', 0, 600_000),
    signal: checkSignal(signal, 'openBlock'),
  };
}
