// A lane past the fabric: the memory of a peer's DMB, mapped here, and its signals. Opt-in at both ends, because whoever has one
// is kept from nothing in that memory any more: docs/api/ism.md says what that is.

import { native } from '../../addon/binding.js';
import type { BellHandle } from '../../addon/handles.js';
import { noHandle } from '../../addon/handles.js';
import type { Region } from '../../region/region.js';
import { type BytesLike, checkBetween } from '../../support/check.js';
import { type ErrorValues, hex, IsmioError, rangeError, systemError } from '../../support/errors.js';
import type { PciDevice } from '../../vfio/pci-device.js';
import { colours } from '../wire.js';
import type { MoveOptions } from './options.js';

/** Memory that a fabric lends, and the bell behind it. */
interface Lent {
  readonly region: Region;
  readonly bell: BellHandle;
}

/** A device whose server may lend memory. */
interface Lender extends PciDevice {
  lane(token: bigint): Lent | { readonly call: string; readonly errno: number };
}

/** Made by `ism.lane()`. */
export class IsmLane {
  /** By which the fabric knows the memory. */
  readonly token: bigint;
  readonly #region: Region;
  readonly #ended: (lane: IsmLane) => void;
  #bell: BellHandle;

  /** @internal `ended` is called when it is closed. */
  constructor(token: bigint, { region, bell }: Lent, ended: (lane: IsmLane) => void) {
    this.token = token;
    this.#region = region;
    this.#bell = bell;
    this.#ended = ended;
  }

  /** Bytes of the DMB. */
  get length(): number {
    return this.#region.size;
  }

  get closed(): boolean {
    return this.#region.closed;
  }

  /**
   * Stores bytes into the DMB, and signals behind them. That the DMB was unregistered meanwhile is not told: its memory is there as
   * long as the lane is, and nobody looks at it.
   * @throws RangeError ERR_ISMIO_OUT_OF_RANGE past its end
   * @throws IsmioError ERR_ISMIO_REGION_LOST where the peer has cut its memory off, or the fabric has gone; ERR_ISMIO_CLOSED
   */
  move(offset: number, bytes: BytesLike, { signal }: MoveOptions = {}): void {
    if (signal !== undefined) checkBetween(signal, 'signal', 0, colours - 1);
    if (bytes.byteLength === 0) throw rangeError('ERR_ISMIO_OPTION', 'a move has at least one byte', { length: 0 });
    this.#region.write(offset, bytes);
    if (signal !== undefined) this.signal(signal);
  }

  /** Signals alone. @throws IsmioError ERR_ISMIO_REGION_LOST, ERR_ISMIO_CLOSED */
  signal(colour: number): void {
    checkBetween(colour, 'colour', 0, colours - 1);
    if (this.closed) throw new IsmioError('ERR_ISMIO_CLOSED', `the lane of token ${hex(this.token)} is closed`);
    const errno = native.lanes.ring(this.#bell, colour);
    if (errno === 0) return;
    const text = `the lane of token ${hex(this.token)} is lost: its peer has cut its signals off`;
    throw new IsmioError('ERR_ISMIO_REGION_LOST', text, { token: this.token }, systemError(errno, 'ring'));
  }

  close(): void {
    this.#region.close();
    if (this.#bell !== noHandle) native.lanes.closeBell(this.#bell);
    this.#bell = noHandle;
    this.#ended(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Asks the server of a device.
 * @throws IsmioError ERR_ISMIO_ISM where it lends none
 */
export function laneOf(device: PciDevice, token: bigint, ended: (lane: IsmLane) => void): IsmLane {
  const refused = (why: string, values: ErrorValues = {}, cause?: Error) =>
    new IsmioError(
      'ERR_ISMIO_ISM',
      `${device.name} has no lane to token ${hex(token)}: ${why}`,
      { token, ...values },
      cause,
    );
  if (!lends(device)) throw refused('only a fabric in another process lends memory');
  const lent = device.lane(token);
  if (!('errno' in lent)) return new IsmLane(token, lent, ended);
  const cause = systemError(lent.errno, lent.call);
  throw refused(refusals[cause.code] ?? cause.code, { errno: cause.code }, cause);
}

const refusals: Readonly<Record<string, string>> = {
  ENOSYS: 'its fabric is not direct',
  ENOTTY: 'its fabric is not direct',
  ENOENT: 'no DMB has it',
  EACCES: 'another function is authorised',
  ENXIO: 'the memory of its peer is no file of its own',
  EAGAIN: 'its peer has no interrupt now',
};

function lends(device: PciDevice): device is Lender {
  return 'lane' in device && 'api' in device && device.api === 'vfio-user';
}
