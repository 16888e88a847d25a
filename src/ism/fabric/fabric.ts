// A fabric: the ISM functions that reach each other.
import { randomBytes } from 'node:crypto';
import { native } from '../../addon/binding.js';
import { type FabricHandle, noHandle, type PortHandle } from '../../addon/handles.js';
import { checkBetween, checkFlag, checkOptions, checkText } from '../../support/check.js';
import { hex, IsmioError, rangeError } from '../../support/errors.js';
import { checkGid } from '../gid.js';
import { eventTypes, gidGone } from '../wire.js';
import {
  type AdversaryOptions,
  type AdversaryPlan,
  checkAdversary,
  type Mischief,
  mischiefsDone,
} from './adversary.js';
import { IsmFunction } from './function.js';

/** What a fabric is. */
export interface FabricOptions {
  /** Channel identifier, 16 bits: functions of one reach each other. 0xff00 and up are those of software (Linux net/smc/smc.h). Default 1. */
  readonly chid?: number;
  /**
   * Whether a driver in another process may have the memory of a DMB that it is authorised for, and its owner's signal bits and
   * interrupt, and so move without the fabric (docs/api/ism.md, "Lanes"). Default false.
   */
  readonly direct?: boolean;
  /** Does to moves and signals what hardware may do, and what goes wrong with it. Not with `direct`. Default: nobody does. */
  readonly adversary?: AdversaryOptions;
}

/** What has happened on a fabric, since it was made. What its functions did is theirs to say. */
export interface FabricStats {
  /** How often the adversary did what; null where there is none. */
  readonly adversary: Readonly<Record<Mischief, number>> | null;
}

/** What a function of a fabric is. */
export interface IsmFunctionOptions {
  /** 64 bits, and not 0. Default: random. */
  readonly gid?: bigint;
  /** What messages call it. Default: 'ism' and its GID. */
  readonly name?: string;
  /**
   * Its driver runs in a guest of QEMU 11.1 on a little-endian host, which hands over a store block as words of 8 bytes, one by one,
   * each with its bytes in reverse. Default false.
   */
  readonly reversedWords?: boolean;
}

/** ISM functions that reach each other. It belongs to the thread that made it. */
export class Fabric {
  /** 16 bits. */
  readonly chid: number;
  readonly #functions = new Map<bigint, IsmFunction>();
  #handle: FabricHandle;

  /** @internal */
  constructor(options: FabricOptions) {
    checkOptions(options, ['chid', 'direct', 'adversary'], 'createFabric');
    this.chid = checkBetween(options.chid ?? 1, 'chid', 0, 0xfeff);
    const direct = checkFlag(options.direct ?? false, 'direct');
    const plan: [] | AdversaryPlan = options.adversary === undefined ? [] : checkAdversary(options.adversary);
    if (direct && plan.length > 0) {
      const text = 'a fabric that is direct has no adversary: moves by a lane pass it by';
      throw rangeError('ERR_ISMIO_OPTION', text, { direct });
    }
    this.#handle = native.ism.fabric(direct, ...plan);
  }

  /** Those that were made and not closed. */
  get functions(): readonly IsmFunction[] {
    return [...this.#functions.values()];
  }

  /**
   * Makes a function of this fabric: a device to be opened or served.
   * @throws RangeError ERR_ISMIO_OPTION where a function of this GID is there already; IsmioError ERR_ISMIO_CLOSED
   */
  function(options: IsmFunctionOptions = {}): IsmFunction {
    checkOptions(options, ['gid', 'name', 'reversedWords'], 'fabric.function');
    const gid = checkGid(options.gid ?? randomBytes(8).readBigUInt64BE(), 'gid');
    const name = checkText(options.name ?? `ism ${hex(gid)}`, 'name');
    const reversed = checkFlag(options.reversedWords ?? false, 'reversedWords');
    this.#checkOpen();
    const port = native.ism.port(this.#handle, gid, reversed);
    if (port < 0) {
      const text = `fabric ${hex(this.chid)} has a function of GID ${hex(gid)} already: GIDs are unique`;
      throw rangeError('ERR_ISMIO_OPTION', text, { gid });
    }
    const made = new IsmFunction({ gid, name, reversed }, port as PortHandle, {
      present: (wanted) => this.#present(wanted),
      gone: (one) => this.#gone(one),
      closed: ({ gid: its }) => this.#functions.delete(its),
    });
    this.#functions.set(gid, made);
    return made;
  }

  /** @throws IsmioError ERR_ISMIO_CLOSED */
  stats(): FabricStats {
    this.#checkOpen();
    const counts = native.ism.mischief(this.#handle);
    return { adversary: counts === undefined ? null : mischiefsDone(counts) };
  }

  /** Closes all of its functions. */
  close(): void {
    for (const one of this.functions) one.close();
    if (this.#handle !== noHandle) native.ism.closeFabric(this.#handle);
    this.#handle = noHandle;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(): void {
    if (this.#handle === noHandle) throw new IsmioError('ERR_ISMIO_CLOSED', `fabric ${hex(this.chid)} is closed`);
  }

  #present(gid: bigint): IsmFunction | undefined {
    const found = this.#functions.get(gid);
    return found?.present ? found : undefined;
  }

  /** Everybody hears that it has gone. */
  #gone(gone: IsmFunction): void {
    for (const one of this.functions) {
      if (one !== gone) one.tell(eventTypes.gid, gidGone, gone.gid, 0n);
    }
  }
}

/** Makes a fabric without functions. @throws RangeError ERR_ISMIO_OPTION */
export function createFabric(options: FabricOptions = {}): Fabric {
  return new Fabric(options);
}
