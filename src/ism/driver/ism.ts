// The driver of an ISM function, on any road to it.
import { EventEmitter } from 'node:events';
import type { QueueOptions } from '../../queue/options.js';
import { type BytesLike, checkBetween, checkFlag, checkOptions, checkWord } from '../../support/check.js';
import { hex, IsmioError, isIsmioError } from '../../support/errors.js';
import type { VfioIrq } from '../../vfio/irq.js';
import type { PciDevice } from '../../vfio/pci-device.js';
import { checkGid } from '../gid.js';
import { type ConnectOptions, connect } from '../stream/connect.js';
import type { StreamWay } from '../stream/driver.js';
import { type IsmListener, type ListenOptions, listen } from '../stream/listen.js';
import { Station } from '../stream/station.js';
import type { IsmStream } from '../stream/stream.js';
import {
  commandBar,
  commands,
  device as deviceId,
  gidGone,
  reservedVlan,
  vendor,
  vlanIds,
  vlanIdsAt,
  windowBar,
} from '../wire.js';
import { Commander, hasGone, vlanFields } from './commander.js';
import type { Dmb } from './dmb.js';
import { Dmbs } from './dmbs.js';
import { hearErrors, hearNews, inError } from './interrupts.js';
import { type IsmLane, laneOf } from './lane.js';
import { MoveQueue, Moves } from './moves.js';
import { Notices } from './notices.js';
import type { DmbOptions, IsmEvent, IsmInfo, IsmOptions, MoveOptions } from './options.js';
import { type Attempt, Pages } from './pages.js';

/** What a driver emits. */
export interface IsmEvents {
  /** The function tells something: see IsmEvent. */
  event: [IsmEvent];
  /** A function of the fabric has gone, with all that it had registered. */
  gone: [gid: bigint];
  /** What the function wrote cannot be; or a listener threw. */
  error: [Error];
  /**
   * The device was lost, as when the process of its fabric has gone: nothing of it comes any more. Or its platform took it into
   * error, so that it answers nothing until it was closed and opened again: `reports` of the error are what it told.
   */
  lost: [Error];
  close: [];
}

/** Made by `openIsm`. */
export class Ism extends EventEmitter<IsmEvents> {
  /** Global identifier of the function. */
  readonly gid: bigint;
  /** What it drives. */
  readonly device: PciDevice;
  /**
   * Whether the function takes moves of 16 bytes or more alone, whose offset and length are multiples of 8. ISM itself is not
   * strict; the functions that QEMU emulates are.
   */
  readonly strict: boolean;
  readonly #moves: Moves;
  readonly #direct: boolean;
  readonly #lanes = new Set<IsmLane>();
  readonly #commander: Commander;
  readonly #pages: Pages;
  readonly #notices: Notices;
  #irq: VfioIrq | null = null;
  readonly #dmbs: Dmbs;
  #closing = false;
  #closed = false;

  /** @internal */
  constructor(device: PciDevice, options: IsmOptions) {
    super();
    checkOptions(options, ['interrupts', 'direct'], 'openIsm');
    this.#direct = checkFlag(options.direct ?? false, 'direct');
    const polled = checkWord(options.interrupts ?? 'event', 'interrupts', ['event', 'poll']) === 'poll';
    this.device = device;
    device.enableMemory(true);
    device.enableBusMaster(true);
    this.#moves = new Moves(device.region(windowBar, { posted: false })); // a move is there when it returns
    this.strict = this.#moves.strict;
    this.#commander = new Commander(device.region(commandBar));
    this.#pages = new Pages(this.#commander);
    this.#notices = new Notices(this.#pages.bits, this.#pages.events);
    this.#dmbs = new Dmbs(device, this.#commander, this.#notices);
    try {
      this.#pages.map(device);
      if (!polled) this.#irq = hearNews(device, () => this.poll());
      this.#pages.register();
      this.gid = this.#commander.run(commands.readGid, {}).values.gid;
      hearErrors(device, () => this.#tell(() => this.#inError()));
    } catch (error) {
      this.#undo();
      throw error;
    }
    if (device instanceof EventEmitter) device.once('lost', (error: Error) => this.emit('lost', error));
    Station.of(this); // peers that ask for a stream are told that nobody listens
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** DMBs that are registered. */
  get dmbs(): readonly Dmb[] {
    return this.#dmbs.all;
  }

  /** What the function says of itself now. @throws IsmioError ERR_ISMIO_ISM, ERR_ISMIO_CLOSED */
  info(): IsmInfo {
    this.#checkOpen();
    const { values, view } = this.#commander.run(commands.queryInfo, {});
    const { version, max_len, ism_state, my_gid, dmbs_owned, dmbs_used, vlan_required, vlan_nr_ids } = values;
    const ids = Math.min(vlan_nr_ids, vlanIds);
    return {
      version,
      maxLength: max_len,
      state: ism_state,
      gid: my_gid,
      dmbs: { most: dmbs_owned, used: dmbs_used },
      vlanRequired: vlan_required !== 0,
      vlans: Array.from({ length: ids }, (_, i) => view.getUint16(vlanIdsAt + 2 * i)),
    };
  }

  /** Whether a function of this GID is there, and reached (with that VLAN id, where one is given). */
  reaches(gid: bigint, vlan?: number): boolean {
    this.#checkOpen();
    const asked = { rgid: checkGid(gid, 'gid'), ...vlanFields(vlan) };
    try {
      this.#commander.run(commands.queryRemoteGid, asked);
      return true;
    } catch (error) {
      if (error instanceof IsmioError && error.code === 'ERR_ISMIO_ISM' && error['returnCode'] !== undefined)
        return false;
      throw error;
    }
  }

  /** Gives the function a VLAN id; again, it stays what it is. @throws IsmioError ERR_ISMIO_ISM */
  addVlan(id: number): void {
    this.#checkOpen();
    this.#commander.run(commands.addVlanId, { vlan_id: BigInt(checkBetween(id, 'id', 0, reservedVlan)) });
  }

  deleteVlan(id: number): void {
    this.#checkOpen();
    this.#commander.run(commands.deleteVlanId, { vlan_id: BigInt(checkBetween(id, 'id', 0, reservedVlan)) });
  }

  /** Whether every DMB has to be of a VLAN. */
  requireVlan(required: boolean): void {
    this.#checkOpen();
    this.#commander.run(required ? commands.setVlan : commands.resetVlan, {});
  }

  /**
   * Registers memory that `peer` may move into.
   * @throws IsmioError ERR_ISMIO_ISM where the function refuses: no such peer, no room; ERR_ISMIO_DMA_LIMIT, ERR_ISMIO_CLOSED
   */
  registerDmb(options: DmbOptions): Dmb {
    checkOptions(options, ['length', 'peer', 'vlan'], 'ism.registerDmb');
    this.#checkOpen();
    return this.#dmbs.register(options);
  }

  /**
   * Moves bytes into a DMB of a peer: in the fewest store blocks, none across a page of 4096 bytes, the last with the signal.
   * They must not lie in that DMB, of a function of this process: then what arrives is not defined.
   * @throws RangeError ERR_ISMIO_RULE where the function is strict, and no blocks that it takes make up the move: nothing is moved
   * @throws IsmioError ERR_ISMIO_DEVICE where the fabric refuses a block of it: no such token, past its end, its owner gone;
   * `bytesDone` of `error` are of the write that failed
   */
  move(token: bigint, offset: number, bytes: BytesLike, options: MoveOptions = {}): void {
    this.#checkOpen();
    this.#moves.move(token, offset, bytes, options);
  }

  /**
   * A queue of moves. It ends with the driver at the latest: what is queued then is never made.
   * @throws RangeError ERR_ISMIO_OPTION
   */
  queue(options: QueueOptions = {}): MoveQueue {
    this.#checkOpen();
    return new MoveQueue(this.#moves, options);
  }

  /**
   * The memory of a peer's DMB itself, where a direct fabric in another process lends it: what is stored there is there, without the
   * fabric. It ends with the driver at the latest.
   * @throws IsmioError ERR_ISMIO_ISM where there is none, with the reason
   */
  lane(token: bigint): IsmLane {
    this.#checkOpen();
    const lane = laneOf(this.device, token, (ended) => this.#lanes.delete(ended));
    this.#lanes.add(lane);
    return lane;
  }

  /** @internal The shortest way into a DMB: a lane where this driver is direct and there is one. */
  way(token: bigint): StreamWay {
    const lane = this.#direct ? this.#laneOr(token) : null;
    if (lane === null) {
      return {
        isLane: false,
        move: (offset, bytes, options) => this.move(token, offset, bytes, options),
        close: () => undefined,
      };
    }
    return {
      isLane: true,
      move: (offset, bytes, options) => lane.move(offset, bytes, options),
      close: () => lane.close(),
    };
  }

  /** Puts a software event into a peer's event queue. @throws IsmioError ERR_ISMIO_ISM where there is no such peer */
  signal(
    peer: bigint,
    { code, info = 0n, interrupt = true }: { code: number; info?: bigint; interrupt?: boolean },
  ): void {
    this.#checkOpen();
    this.#commander.run(commands.signalIeq, {
      rgid: checkGid(peer, 'peer'),
      trigger_irq: Number(interrupt),
      event_code: checkBetween(code, 'code', 0, 2 ** 32 - 1),
      info,
    });
  }

  /**
   * Opens a stream to whoever listens at a port of a peer.
   * @throws IsmioError ERR_ISMIO_ISM_REFUSED, ERR_ISMIO_ISM_PEER_DIED, ERR_ISMIO_ABORTED; ERR_ISMIO_ISM where there is no such peer
   */
  async connect(peer: bigint, port: number, options?: ConnectOptions): Promise<IsmStream> {
    this.#checkOpen();
    return connect(this, checkGid(peer, 'peer'), port, options);
  }

  /**
   * Listens at a port for streams of peers. The handler, or the listener's event 'stream', gets each.
   * @throws IsmioError ERR_ISMIO_IN_USE where somebody listens at this port of the function
   */
  listen(
    port: number,
    options?: ListenOptions | ((stream: IsmStream) => void),
    handler?: (stream: IsmStream) => void,
  ): IsmListener {
    this.#checkOpen();
    return listen(this, port, options, handler);
  }

  /** Tells what came since the last time, at once: with `interrupts: 'poll'`, or to be sooner than the event loop. */
  poll(): void {
    if (this.#closed || !this.#notices.raised) return;
    this.#notices.take({
      signalled: (index, mask) => {
        if (mask !== 0) this.#tell(() => this.#dmbs.at(index)?.emit('signal', mask));
      },
      event: (event) => this.#tell(() => this.#told(event)),
      broken: (what) => this.#failed(new IsmioError('ERR_ISMIO_ISM', `${this.device.name}: ${what}`)),
    });
  }

  /**
   * Takes back what it registered, in the order that lets no store of the function go where nothing is any more, and closes the
   * device.
   */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    const errors: unknown[] = [];
    const attempt = attempting(errors);
    for (const dmb of this.dmbs) attempt(() => dmb.unregister());
    this.#pages.unregister(attempt);
    this.#closed = true;
    this.#dmbs.close();
    attempt(() => this.#irq?.disable());
    this.#pages.unmap(attempt);
    for (const lane of this.#lanes) attempt(() => lane.close());
    attempt(() => this.device.close());
    this.emit('close');
    if (errors.length > 0 && !errors.every(hasGone)) throw errors[0];
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Of a function that could not be opened: what it took is taken back, and the device is its opener's. */
  #undo(): void {
    const attempt = attempting([]); // why it could not be opened is what is told
    this.#pages.unregister(attempt);
    attempt(() => this.#irq?.disable());
    this.#pages.unmap(attempt);
  }

  #laneOr(token: bigint): IsmLane | null {
    try {
      return this.lane(token);
    } catch (error) {
      if (isIsmioError(error, 'ERR_ISMIO_ISM')) return null;
      throw error;
    }
  }

  #inError(): void {
    if (this.#closed) return;
    this.emit('lost', inError(this.device));
  }

  #told(event: IsmEvent): void {
    this.emit('event', event);
    if (event.type === 'gid' && event.code === gidGone) this.emit('gone', event.token);
  }

  /** What one listener throws is no reason not to tell the others. */
  #tell(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #failed(error: Error): void {
    if (this.listenerCount('error') === 0) process.emitWarning(error);
    else process.nextTick(() => this.emit('error', error)); // what it throws is no part of what is being told
  }

  #checkOpen(): void {
    if (this.#closed) throw new IsmioError('ERR_ISMIO_CLOSED', `the driver of ${this.device.name} is closed`);
  }
}

/** Does things that may fail, and goes on: `errors` has what they threw. */
function attempting(errors: unknown[]): Attempt {
  return (act) => {
    try {
      act();
    } catch (error) {
      errors.push(error);
    }
  };
}

/**
 * Opens an ISM function as its driver: registers its signal bits and event queue, and hears its interrupt.
 * @throws IsmioError ERR_ISMIO_NOT_A_DEVICE where it is no ISM function; ERR_ISMIO_ISM where it refuses; what its road throws
 */
export async function openIsm(device: PciDevice, options: IsmOptions = {}): Promise<Ism> {
  const { vendor: foundVendor, device: foundDevice } = device.info;
  if (foundVendor !== vendor || foundDevice !== deviceId) {
    const text = `${device.name} is no ISM function: its ids are ${hex(foundVendor ?? 0)}:${hex(foundDevice ?? 0)}, not ${hex(vendor)}:${hex(deviceId)}`;
    throw new IsmioError('ERR_ISMIO_NOT_A_DEVICE', text, { bdf: device.name });
  }
  return new Ism(device, options);
}
