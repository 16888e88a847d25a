// A request as it comes from memory that a peer writes: copied once, checked whole, and then used. Nothing is cut to fit.
import { copy } from '../../access/memory.js';
import { checkOf, get } from '../../ism/stream/layout.js';
import {
  broken,
  changes,
  command,
  commandNames,
  flagsOf,
  headBytes,
  inlineOf,
  mostExtents,
  request,
  requestReserved,
  wordsEnd,
} from './wire.js';

export interface Request {
  readonly slot: number;
  readonly command: number;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  readonly most: number;
  readonly sequence: number;
  /** Of a write's data; 0 where the session has none. */
  readonly digest: number;
}

/** What a request has to keep to. */
export interface Expected {
  readonly slot: number;
  readonly epoch: number;
  readonly sequence: number;
  /** Of the disk. */
  readonly size: number;
  readonly ioBytes: number;
  readonly mayWrite: boolean;
  readonly hasDigest: boolean;
}

/** How often a request whose check is wrong is copied anew before it is left for later: it may be on its way. */
const copies = 3;

/** Copies a slot's page, as much as there is of it, to private memory. False where its parts do not belong together (yet). */
export function copyRequest(live: Uint8Array, page: Uint8Array): boolean {
  const view = new DataView(page.buffer);
  for (let times = 0; times < copies; times++) {
    page.set(live.subarray(0, headBytes));
    const end = wordsEnd(headBytes + inlineOf(get(view, request.command), get(view, request.length)));
    if (end > headBytes) copy(page.subarray(headBytes, end), live.subarray(headBytes, end));
    if (checkOf(view, end) === get(view, request.check)) return true;
  }
  return false;
}

/** @throws IsmioError ERR_ISMIO_BLOCK where it breaks a rule of docs/block-protocol.md */
export function checkRequest(page: Uint8Array, expected: Expected): Request {
  const view = new DataView(page.buffer);
  const { slot } = expected;
  checkIdentity(view, expected);
  const asked = get(view, request.command);
  const flags = get(view, request.flags);
  const name = commandNames.get(asked);
  if (name === undefined) throw broken(`command ${asked} is none`, { command: asked });
  if ((flags & ~(flagsOf.get(asked) ?? 0)) !== 0) throw broken(`a ${name} has flags ${flags}`, { flags });
  for (let at = requestReserved; at < headBytes; at += 4) {
    if (view.getUint32(at) !== 0) throw broken('what is reserved in a request is not 0');
  }
  const most = get(view, request.most);
  const isOfExtents = asked === command.extents;
  if (isOfExtents ? most < 1 || most > mostExtents : most !== 0)
    throw broken(`a request of ${name} wants ${most} extents`);
  const digest = get(view, request.digest);
  if (digest !== 0 && !(expected.hasDigest && asked === command.write))
    throw broken(`a ${name} has a digest`, { digest });
  if (changes.has(asked) && !expected.mayWrite) throw broken(`a ${name} came in a session that only reads`);
  return {
    slot,
    command: asked,
    flags,
    ...checkRange(view, asked, name, expected),
    most,
    digest,
    sequence: expected.sequence,
  };
}

function checkIdentity(view: DataView, { slot, epoch, sequence }: Expected): void {
  const said = get(view, request.epoch);
  if (said !== epoch) throw broken(`a request of epoch ${said} came`, { epoch: said });
  const came = get(view, request.sequence);
  if (came !== sequence) throw broken(`request ${came} came into slot ${slot}, and ${sequence} was next`, { slot });
}

/** Numbers beyond 2^53 are not exact, and larger than any disk. */
function checkRange(view: DataView, asked: number, name: string, { size, ioBytes }: Expected) {
  const [offset, length] = [get(view, request.offset), get(view, request.length)];
  if (offset > size || length > size - offset) {
    throw broken(`a ${name} of ${length} bytes at ${offset} is not within the disk`, { offset, length });
  }
  const isEmpty = asked === command.flush;
  if (isEmpty ? length !== 0 || offset !== 0 : length === 0) throw broken(`a ${name} has ${length} bytes`, { length });
  const moves = asked === command.read || asked === command.write;
  if (moves && length > ioBytes) throw broken(`a ${name} has ${length} bytes, more than a slot`, { length });
  return { offset, length };
}
