// Commands as a driver gives them: the payload first, then the header, which starts the command; then the response is loaded.
import type { RegionLike } from '../../access/region-like.js';
import { checkBetween } from '../../support/check.js';
import { hex, IsmioError } from '../../support/errors.js';
import {
  type AnyCommand,
  type Fields,
  header,
  headerBytes,
  readFields,
  reservedVlan,
  returnCodes,
  returnCodeText,
  type ValuesOf,
  writeFields,
} from '../wire.js';

/** Shorter store blocks are refused by a strict function (docs/semantics.md). */
const shortestStrict = 16;
const longest = 512;

export class Commander {
  readonly #page: RegionLike;
  readonly #bytes = new Uint8Array(longest);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(page: RegionLike) {
    this.#page = page;
  }

  /**
   * Gives a command, and answers its response.
   * @throws IsmioError ERR_ISMIO_ISM where the function refuses it
   */
  run<Request extends Fields, Response extends Fields>(
    command: AnyCommand & { readonly request: Request; readonly response: Response },
    values: ValuesOf<Request>,
  ): { values: ValuesOf<Response>; view: DataView } {
    this.#bytes.fill(0);
    writeFields(this.#view, command.request, values);
    writeFields(this.#view, header, { cmd: command.code, ret: 0, len: command.requestBytes });
    this.#store(command.requestBytes);
    const { ret, len } = this.#loadHeader();
    if (ret !== returnCodes.done) throw refusal(command, ret);
    // A response that is shorter than its fields would leave some of them as they were.
    if (len < command.responseBytes || len > longest) {
      const text = `${command.name}: a response of ${len} bytes, where ${command.responseBytes} are needed`;
      throw new IsmioError('ERR_ISMIO_ISM', text, { command: command.name, length: len });
    }
    for (let at = headerBytes; at < command.responseBytes; at += 8) {
      this.#view.setBigUint64(at, this.#page.load64(at, 'be'));
    }
    return { values: readFields(this.#view, command.response), view: this.#view };
  }

  /** A strict function takes no block of 8 bytes: there the header is stored with the 8 bytes behind it, once more. */
  #store(length: number): void {
    const strict = this.#page.rules.alignment === 'strict';
    const payload = length - headerBytes;
    const padded = strict ? Math.max(payload, shortestStrict) : payload;
    if (payload > 0) this.#page.storeBlock(headerBytes, this.#bytes.subarray(headerBytes, headerBytes + padded));
    this.#page.storeBlock(0, this.#bytes.subarray(0, strict ? shortestStrict : headerBytes));
  }

  #loadHeader(): ValuesOf<typeof header> {
    this.#view.setBigUint64(0, this.#page.load64(0, 'be'));
    return readFields(this.#view, header);
  }
}

function refusal(command: AnyCommand, code: number): IsmioError {
  const text = `the function refused ${command.name}: ${returnCodeText(code)} (return code ${hex(code)})`;
  return new IsmioError('ERR_ISMIO_ISM', text, { command: command.name, returnCode: code });
}

/** The fields of commands that are of a VLAN, or of none. */
export function vlanFields(vlan: number | undefined): { vlan_valid: number; vlan_id: number } {
  if (vlan === undefined) return { vlan_valid: 0, vlan_id: 0 };
  return { vlan_valid: 1, vlan_id: checkBetween(vlan, 'vlan', 0, reservedVlan) };
}

/** A return code of 0xffff is no refusal to take something back: the function is gone [Linux ism_drv.c, unregister_sba]. */
export function hasGone(error: unknown): boolean {
  return (
    error instanceof IsmioError && (error.code === 'ERR_ISMIO_REGION_LOST' || error['returnCode'] === returnCodes.error)
  );
}
