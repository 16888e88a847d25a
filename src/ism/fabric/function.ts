// One ISM function of a fabric: a PCI function whose moves the addon makes, and whose commands are carried out here.
import { constants } from 'node:os';
import { native } from '../../addon/binding.js';
import type { PortHandle } from '../../addon/handles.js';
import { moveRefusals } from '../../addon/wire.js';
import { Device } from '../../device/device.js';
import { IsmioError } from '../../support/errors.js';
import {
  type AnyCommand,
  commandBar,
  commands,
  device,
  dmbSlots,
  eventTypes,
  firstDmb,
  largestDmb,
  queue,
  reservedVlan,
  returnCodes,
  type ValuesOf,
  vendor,
  vlanIds,
  windowBar,
  windowBytes,
} from '../wire.js';
import { type Answer, CommandPage, done } from './commands.js';

const { EBUSY, EEXIST, EINVAL, ENOSPC } = constants.errno;

/** Who a function is, and whether its driver sits behind QEMU (IsmFunctionOptions.reversedWords). */
export interface Identity {
  readonly gid: bigint;
  readonly name: string;
  readonly reversed: boolean;
}

/** What a function asks of its fabric. */
export interface Peers {
  /** The function of a GID whose driver is there. */
  present(gid: bigint): IsmFunction | undefined;
  /** The driver of a function has gone. */
  gone(function_: IsmFunction): void;
  /** It is of the fabric no more. */
  closed(function_: IsmFunction): void;
}

/** Why moves were refused: the status byte that comes with condition code 1. The bytes are ours. */
export type MoveRefusal = Exclude<(typeof moveRefusals)[number], 'none'>;

/** What a function has done, since it was made. */
export interface IsmFunctionStats {
  /** Moves that its driver made into DMBs of others. */
  readonly moves: number;
  readonly movedBytes: number;
  /** Moves of others into its own DMBs. */
  readonly received: number;
  /** Of those, the ones with a signal. */
  readonly signals: number;
  /** Raised: fewer than there were signals and events, where one was still to be served. */
  readonly interrupts: number;
  readonly events: number;
  /** Lanes that its driver was lent: what it moves by them, nobody counts. */
  readonly lanes: number;
  /** DMBs that it has registered. */
  readonly dmbs: number;
  /** Moves of its driver that were refused, by reason. */
  readonly refused: Readonly<Record<MoveRefusal, number>>;
}

/**
 * An ISM function: `open()` it in this process, or `serve` it to another process or a guest. Made by `fabric.function()`.
 */
export class IsmFunction extends Device {
  /** Its global identifier, 64 bits: unique in the fabric. */
  readonly gid: bigint;
  readonly #port: PortHandle;
  readonly #peers: Peers;
  readonly #page: CommandPage;
  readonly #vlans = new Set<number>();
  #vlanRequired = false;
  /** Bus addresses of what its driver has registered to be told by. */
  #registered: { sba?: bigint; ieq?: bigint } = {};

  /** @internal */
  constructor({ gid, name, reversed }: Identity, port: PortHandle, peers: Peers) {
    const page = new CommandPage((command, request) => this.#carry(command, request), reversed);
    super({
      name,
      vendor,
      device,
      classCode: 0,
      regions: { [windowBar]: { size: windowBytes, engine: port }, [commandBar]: page.bar() },
      interrupts: { msi: 1, msix: 1 },
      reset: () => this.#leave(),
    });
    this.gid = gid;
    this.#port = port;
    this.#peers = peers;
    this.#page = page;
    this.on('close', () => this.#leave());
  }

  /**
   * Whether a driver is there for its peers: it has registered signal bits or an event queue. To have the function open is not
   * enough: a machine has, from its start to its end, whatever drivers its guest runs meanwhile. Of a function that the fabric's
   * adversary has killed, it is not.
   */
  get present(): boolean {
    if (native.ism.dead(this.#port)) return false;
    return this.#registered.sba !== undefined || this.#registered.ieq !== undefined;
  }

  stats(): IsmFunctionStats {
    const counts = native.ism.counts(this.#port);
    if (counts === undefined) throw new IsmioError('ERR_ISMIO_CLOSED', `device ${this.name} is closed`);
    const byReason = moveRefusals.map((reason, i) => [reason, counts.refused[i]] as const).slice(1);
    return { ...counts, refused: Object.fromEntries(byReason) as Record<MoveRefusal, number> };
  }

  override close(): void {
    if (this.closed) return;
    this.#leave();
    super.close();
    native.ism.closePort(this.#port);
    this.#peers.closed(this);
  }

  /** @internal Tells its driver something. False where that has registered no event queue. */
  tell(type: number, code: number, token: bigint, info: bigint, interrupt = true): boolean {
    return native.ism.tell(this.#port, type, code, token, info, interrupt);
  }

  /** @internal Whether it has this VLAN id. */
  hasVlan(id: number): boolean {
    return this.#vlans.has(id);
  }

  /** The end of a driver's life: what it registered is gone when its peers hear of it. */
  #leave(): void {
    const was = this.present;
    native.ism.clear(this.#port);
    this.#registered = {};
    this.#vlans.clear();
    this.#vlanRequired = false;
    this.#page.clear();
    if (was) this.#peers.gone(this);
  }

  #carry(command: AnyCommand, request: Readonly<Record<string, number | bigint>>): Answer {
    if (native.ism.dead(this.#port)) return returnCodes.error;
    switch (command) {
      case commands.registerSba:
        return this.#register('sba', request['sba'] as bigint);
      case commands.registerIeq:
        return this.#register('ieq', request['ieq'] as bigint, request['len'] as bigint);
      case commands.unregisterSba:
        return this.#unregister('sba');
      case commands.unregisterIeq:
        return this.#unregister('ieq');
      case commands.readGid:
        return { values: { gid: this.gid } };
      case commands.addVlanId:
        return this.#addVlan(request['vlan_id'] as bigint);
      case commands.deleteVlanId:
        return this.#vlans.delete(Number(request['vlan_id'])) ? done : returnCodes.vlan;
      case commands.setVlan:
      case commands.resetVlan:
        this.#vlanRequired = command === commands.setVlan;
        return done;
      case commands.queryInfo:
        return this.#info();
      case commands.queryRemoteGid:
        return this.#remote(request as ValuesOf<typeof commands.queryRemoteGid.request>);
      case commands.registerDmb:
        return this.#registerDmb(request as ValuesOf<typeof commands.registerDmb.request>);
      case commands.unregisterDmb:
        return native.ism.unregisterDmb(this.#port, request['dmb_tok'] as bigint) ? done : returnCodes.token;
      case commands.signalIeq:
        return this.#signal(request as ValuesOf<typeof commands.signalIeq.request>);
      default:
        return returnCodes.command;
    }
  }

  #register(what: 'sba' | 'ieq', address: bigint, length?: bigint): Answer {
    const errno =
      length === undefined
        ? native.ism.registerSba(this.#port, address)
        : native.ism.registerQueue(this.#port, address, length);
    if (errno !== 0) return codeOf(-errno);
    this.#registered[what] = address;
    return done;
  }

  /** A driver that has taken back both has gone, and told nobody else: the reset behind it stays in the machine of a guest. */
  #unregister(what: 'sba' | 'ieq'): Answer {
    const was = what === 'sba' ? native.ism.unregisterSba(this.#port) : native.ism.unregisterQueue(this.#port);
    if (!was) return returnCodes.state;
    const rest = { ...this.#registered };
    delete rest[what];
    if (Object.keys(rest).length === 0) this.#leave();
    else this.#registered = rest;
    return done;
  }

  /** Added again, an id stays what it is: Linux adds the one that says SMC-Dv2 at each probe, and never deletes it. */
  #addVlan(id: bigint): Answer {
    if (id > BigInt(reservedVlan)) return returnCodes.vlan;
    if (!this.#vlans.has(Number(id)) && this.#vlans.size === vlanIds) return returnCodes.full;
    this.#vlans.add(Number(id));
    return done;
  }

  #info(): Answer {
    const { sba, ieq } = this.#registered;
    const told = sba !== undefined && ieq !== undefined;
    const values = {
      version: 1,
      max_len: largestDmb,
      ism_state: told ? 1n : 0n,
      my_gid: this.gid,
      sba: sba ?? 0n,
      ieq: ieq ?? 0n,
      ieq_len: ieq === undefined ? 0 : queue.bytes,
      dmbs_owned: dmbSlots - firstDmb,
      dmbs_used: this.stats().dmbs,
      vlan_required: Number(this.#vlanRequired),
      vlan_nr_ids: this.#vlans.size,
    };
    return { values, vlanIds: [...this.#vlans] };
  }

  /** A VLAN id is one that both ends have. */
  #sharesVlan(peer: IsmFunction, valid: number, id: number): boolean {
    if (valid === 0) return !this.#vlanRequired;
    return this.#vlans.has(id) && peer.hasVlan(id);
  }

  #remote({ rgid, vlan_valid, vlan_id }: ValuesOf<typeof commands.queryRemoteGid.request>): Answer {
    const peer = this.#peers.present(rgid);
    if (peer === undefined) return returnCodes.gid;
    return this.#sharesVlan(peer, vlan_valid, vlan_id) ? done : returnCodes.vlan;
  }

  #registerDmb(request: ValuesOf<typeof commands.registerDmb.request>): Answer {
    const refused = this.#remote(request);
    if (typeof refused === 'number') return refused;
    const { dmb, dmb_len, sba_idx, rgid } = request;
    const made = native.ism.registerDmb(this.#port, dmb, dmb_len, sba_idx, rgid);
    if (typeof made === 'bigint') return { values: { dmb_tok: made } };
    const known = sba_idx >= firstDmb && sba_idx < dmbSlots;
    return -made === EINVAL && !known ? returnCodes.index : codeOf(-made);
  }

  #signal({ rgid, trigger_irq, event_code, info }: ValuesOf<typeof commands.signalIeq.request>): Answer {
    const peer = this.#peers.present(rgid);
    if (peer === undefined) return returnCodes.gid;
    return peer.tell(eventTypes.software, event_code, this.gid, info, trigger_irq !== 0) ? done : returnCodes.gid;
  }
}

function codeOf(errno: number): number {
  if (errno === EBUSY) return returnCodes.state;
  if (errno === EEXIST) return returnCodes.index;
  return errno === ENOSPC ? returnCodes.full : returnCodes.address;
}
