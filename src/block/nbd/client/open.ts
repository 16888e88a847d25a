// How an export is opened.
import { clearTimeout, setTimeout } from 'node:timers';
import { onAbort } from '../../../support/abort.js';
import { IsmioError } from '../../../support/errors.js';
import { Breach } from '../negotiation.js';
import { dial, Intake } from './dial.js';
import { NbdDisk } from './disk.js';
import { nbdError } from './failure.js';
import { Greeted } from './negotiation.js';
import { checkOpenNbd, type OpenNbdOptions } from './options.js';
import type { NbdPlace } from './uri.js';

/**
 * Opens what an NBD server exports. Nothing is asked again when the connection is lost.
 * @param place a URI as libnbd has them, such as nbd://host/name or nbd+unix:///name?socket=PATH, or the same as an object
 * @throws IsmioError ERR_ISMIO_NBD with `reason` 'unreachable', 'tls', 'refused', 'protocol', 'timeout' or 'lost';
 * ERR_ISMIO_ABORTED; RangeError ERR_ISMIO_OPTION
 */
export async function openNbd(place: string | NbdPlace, options: OpenNbdOptions = {}): Promise<NbdDisk> {
  const opening = checkOpenNbd(place, options);
  const { address, timeout, signal } = opening;
  if (signal?.aborted === true) throw aborted(address.words, signal);
  const socket = dial(address);
  const greeted = new Greeted(opening, socket, new Intake(address.words, socket));
  let stopped: IsmioError | null = null;
  const stop = (error: IsmioError) => {
    stopped ??= error;
    destroy(); // which ends whatever is waited for
  };
  const destroy = () => {
    greeted.socket.destroy();
    socket.destroy();
  };
  const late = () => stop(nbdError(address.words, 'timeout', `the server did not give the export in ${timeout} ms`));
  const timer = setTimeout(late, timeout);
  const endSignal =
    signal === undefined ? () => undefined : onAbort(signal, () => stop(aborted(address.words, signal)));
  try {
    const agreement = await greeted.agree();
    if (stopped !== null) throw stopped;
    return new NbdDisk(opening, agreement);
  } catch (error) {
    destroy();
    if (stopped !== null || !(error instanceof Breach)) throw stopped ?? error;
    throw nbdError(address.words, 'protocol', `the server breaks the protocol: ${error.message}`);
  } finally {
    clearTimeout(timer);
    endSignal();
  }
}

function aborted(disk: string, signal: AbortSignal): IsmioError {
  return new IsmioError('ERR_ISMIO_ABORTED', `opening ${disk} was aborted`, {}, signal.reason);
}
