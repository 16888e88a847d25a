// The DMBs that a driver has registered with its function, by the index of their bits.
import { allocBuffer, type SharedBytes } from '../../access/memory.js';
import { checkBetween } from '../../support/check.js';
import { IsmioError } from '../../support/errors.js';
import type { DmaMapping } from '../../vfio/dma.js';
import type { PciDevice } from '../../vfio/pci-device.js';
import { checkGid } from '../gid.js';
import { commands, dmbSlots, firstDmb, largestDmb } from '../wire.js';
import { type Commander, hasGone, vlanFields } from './commander.js';
import { Dmb } from './dmb.js';
import type { Notices } from './notices.js';
import type { DmbOptions } from './options.js';

export class Dmbs {
  readonly #device: PciDevice;
  readonly #commander: Commander;
  readonly #notices: Notices;
  readonly #registered = new Map<number, Dmb>();
  #nextIndex = firstDmb;
  #isClosed = false;

  constructor(device: PciDevice, commander: Commander, notices: Notices) {
    this.#device = device;
    this.#commander = commander;
    this.#notices = notices;
  }

  /** Those that are registered. */
  get all(): readonly Dmb[] {
    return [...this.#registered.values()];
  }

  /** The one with this bit, if it is registered. */
  at(index: number): Dmb | undefined {
    return this.#registered.get(index);
  }

  /** Registers memory that a peer may move into. */
  register(options: DmbOptions): Dmb {
    const length = checkBetween(options.length, 'length', 1, largestDmb);
    const peer = checkGid(options.peer, 'peer');
    const index = this.#freeIndex();
    const memory: SharedBytes = allocBuffer(length, { shared: true });
    const mapping = this.#device.dmaMap(memory, { boundary: BigInt(largestDmb) });
    try {
      const { values } = this.#commander.run(commands.registerDmb, {
        dmb: mapping.iova,
        dmb_len: length,
        sba_idx: index,
        ...vlanFields(options.vlan),
        rgid: peer,
      });
      const dmb = new Dmb(memory, values.dmb_tok, index, peer, () => this.#unregister(dmb, mapping));
      this.#registered.set(index, dmb);
      return dmb;
    } catch (error) {
      mapping.unmap();
      throw error;
    }
  }

  /** The function hears no command from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Indices come round: one that was given back is given out again as late as can be. */
  #freeIndex(): number {
    for (let tried = firstDmb; tried < dmbSlots; tried++) {
      const index = this.#nextIndex;
      this.#nextIndex = index + 1 < dmbSlots ? index + 1 : firstDmb;
      if (!this.#registered.has(index)) return index;
    }
    const most = dmbSlots - firstDmb;
    const text = `${this.#device.name} has ${most} DMBs, which is all that a function can have`;
    throw new IsmioError('ERR_ISMIO_ISM', text, { dmbs: most });
  }

  /** A function that is lost, or dead, or whose driver was closed, reaches no memory any more. */
  #unregister(dmb: Dmb, mapping: DmaMapping): void {
    try {
      if (!this.#isClosed) this.#commander.run(commands.unregisterDmb, { dmb_tok: dmb.token });
    } catch (error) {
      if (!hasGone(error)) throw error;
    }
    this.#registered.delete(dmb.index);
    this.#notices.clear(dmb.index);
    if (!this.#device.closed) mapping.unmap();
  }
}
