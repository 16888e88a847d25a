// What client and server agree on: the version, and how much one of them takes at once. All capabilities are optional.
import { constants } from 'node:os';
import { type ErrorValues, IsmioError, shown, systemError } from '../support/errors.js';
import type { Connection } from './connection.js';
import { command, halfAt, own, unsaid, version } from './messages.js';

/** What the server said that it takes. */
export interface Limits {
  /** Descriptors beside one message. */
  readonly messageDescriptors: number;
  /** Bytes of one read or write. */
  readonly transfer: number;
  /** Buffers that are mapped for DMA at once. */
  readonly mappings: number;
}

/** The least that a server has to take: callers are promised reads of a page, and a page of configuration space. */
const leastTransfer = 4096;
/** Text of capabilities is some hundred bytes. */
const mostText = 1 << 16;

const offered = JSON.stringify({
  capabilities: {
    max_msg_fds: own.messageDescriptors,
    max_data_xfer_size: own.transfer,
    max_dma_maps: own.mappings,
    pgsizes: 4096,
    write_multiple: false,
  },
});

const proposed = `${own.major}.${own.minor}`;

/**
 * Proposes this side's version, and takes the server's where it is known here.
 * @throws IsmioError ERR_ISMIO_VFIO_USER, ERR_ISMIO_DEVICE_BUSY where the server has another client
 */
export function negotiate(connection: Connection): Limits {
  const { path } = connection;
  const reply = new Uint8Array(mostText);
  const answer = connection.call(command.version, version(own.major, own.minor, offered), reply);
  if (answer < 0) throw refused(connection, -answer);
  if (answer < 4) throw broken(path, `a reply of ${answer} bytes to the version`, { length: answer });
  const major = halfAt(reply, 0);
  const minor = halfAt(reply, 2);
  if (major !== own.major || minor > own.minor) {
    const text = `${path}: the server speaks version ${major}.${minor} of vfio-user, and this package ${proposed} at most`;
    throw new IsmioError('ERR_ISMIO_VFIO_USER', text, { path, version: `${major}.${minor}`, proposed });
  }
  return limitsOf(path, capabilitiesIn(path, reply.subarray(4, answer)));
}

function refused(connection: Connection, errno: number): IsmioError {
  const { path } = connection;
  // A server that turns a client away hangs up behind its answer: what it answered is told, not that it has gone.
  const why = errno === constants.errno.ENODEV ? connection.lost : null;
  if (why !== null) {
    const text = `${path}: ${why} before it agreed on a version; ${proposed} was proposed`;
    return new IsmioError('ERR_ISMIO_VFIO_USER', text, { path, proposed, reason: connection.reason });
  }
  const cause = systemError(errno, 'VFIO_USER_VERSION');
  if (errno === constants.errno.EBUSY) {
    const text = `${path}: the server has another client, and takes one at a time`;
    return new IsmioError('ERR_ISMIO_DEVICE_BUSY', text, { path, errno: cause.code }, cause);
  }
  const text = `${path}: the server refused version ${proposed} of vfio-user: ${cause.code}`;
  const values = { path, proposed, call: 'VFIO_USER_VERSION', errno: cause.code };
  return new IsmioError('ERR_ISMIO_VFIO_USER', text, values, cause);
}

function broken(path: string, what: string, values: ErrorValues): IsmioError {
  return new IsmioError('ERR_ISMIO_VFIO_USER', `${path}: the server's answer is broken: ${what}`, { path, ...values });
}

/** The capabilities of the text; none where there is no text. */
function capabilitiesIn(path: string, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  const text = Buffer.from(bytes).toString();
  if (text.indexOf('\0') !== text.length - 1) {
    throw broken(path, 'the text of its version does not end in one NUL', { length: bytes.length });
  }
  let told: unknown;
  try {
    told = JSON.parse(text.slice(0, -1) || '{}');
  } catch (cause) {
    throw Object.assign(broken(path, `the text of its version is no JSON: ${(cause as Error).message}`, {}), { cause });
  }
  const { capabilities = {} } = isRecord(told) ? told : {};
  if (isRecord(told) && isRecord(capabilities)) return capabilities;
  throw broken(path, 'the text of its version has no object of capabilities', {});
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function limitsOf(path: string, told: Readonly<Record<string, unknown>>): Limits {
  const number = (name: string, otherwise: number, least: number): number => {
    const value = told[name] ?? otherwise;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
    throw broken(path, `its ${name} is ${shown(value)}; a whole number from ${least} on is needed`, { [name]: value });
  };
  return {
    messageDescriptors: Math.min(number('max_msg_fds', unsaid.messageDescriptors, 0), own.messageDescriptors),
    transfer: Math.min(number('max_data_xfer_size', unsaid.transfer, leastTransfer), own.transfer),
    mappings: number('max_dma_maps', unsaid.mappings, 0),
  };
}
