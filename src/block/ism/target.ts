// A disk at a port of an ISM function. The target outlives the function's driver: when the fabric has gone and a new one is there,
// initiators find it again.
import { EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ism } from '../../ism/driver/ism.js';
import type { IsmListener } from '../../ism/stream/listen.js';
import { farewell } from '../../ism/talk/farewell.js';
import { onAbort } from '../../support/abort.js';
import { crypto } from '../../support/builtins.js';
import { IsmioError } from '../../support/errors.js';
import { Retry } from '../../support/retry.js';
import { within } from '../../support/within.js';
import type { BlockDevice } from '../disk.js';
import { enter, listFor } from './directory.js';
import { checkServe, type ServeBlockOptions, type Serving } from './options.js';
import type { BlockCounts, BlockFailure } from './service.js';
import { type House, Session } from './session.js';
import { UntoldFlush } from './untold-flush.js';
import { longestRecord, type Refusal } from './wire.js';

/** What a target emits. */
export interface BlockTargetEvents {
  /** An initiator has the disk from now on. */
  attach: [gid: bigint, writes: boolean];
  /** It has it no more; and why, where it did not leave. */
  detach: [gid: bigint, reason: string | null];
  /** Somebody was refused, or broke the protocol. */
  refused: [gid: bigint, code: Refusal, reason: string];
  /** The disk failed a request. */
  failed: [BlockFailure];
  /** Data of a write were changed on their way: nothing of them was written. */
  corrupt: [gid: bigint, error: IsmioError];
  /** It is reached by this function. */
  open: [gid: bigint];
  /** The function's driver was lost; a new one is looked for. */
  lost: [error: Error];
  close: [];
}

/** What a target has done since it was opened. */
export interface BlockTargetStats extends Readonly<BlockCounts> {
  /** Initiators that have the disk now. */
  readonly open: number;
  /** Those that were refused, for whatever reason, and those of them that broke the protocol. */
  readonly refused: number;
  readonly breaches: number;
  /** Of the sessions that are open: store blocks into initiators' memory, signals, and news that no signal brought. */
  readonly moves: number;
  readonly signals: number;
  readonly rescued: number;
}

/** Made by `serveBlock`. The disk stays open when it is closed. */
export class BlockTarget extends EventEmitter<BlockTargetEvents> {
  readonly port: number;
  readonly disk: BlockDevice;
  readonly #settings: Serving;
  readonly #open: () => Promise<Ism>;
  readonly #reopens: boolean;
  readonly #life: bigint;
  readonly #sessions = new Set<Session>();
  /** Until the initiator, which has read what was said last then, has ended its stream as well. */
  readonly #streams = new Set<Promise<void>>();
  /** Of sessions that have ended: until nothing of them can reach the medium. */
  readonly #fences = new Set<Promise<void>>();
  readonly #counts: BlockCounts = { requests: 0, bytesRead: 0, bytesWritten: 0, failed: 0, corrupt: 0 };
  readonly #untold = new UntoldFlush();
  /** Of sessions that have ended. */
  readonly #past = { moves: 0, signals: 0, rescued: 0 };
  /** Who may write, or did so last; and whether it was another before, which this one has not heard of yet. */
  #writer: { readonly name: string; readonly othersWrote: boolean } | null = null;
  #refused = 0;
  #breaches = 0;
  /** One is let in after the other. */
  #admission: Promise<unknown> = Promise.resolve();
  #ism: Ism | null = null;
  #listener: IsmListener | null = null;
  /** Takes it out of the list of its function's disks. */
  #unlist: () => void = () => undefined;
  readonly #retry = new Retry();
  #timer: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  #emptied: () => void = () => undefined;
  #endSignal: () => void = () => undefined;

  /** @internal */
  constructor(open: () => Promise<Ism>, reopens: boolean, disk: BlockDevice, settings: Serving) {
    super();
    this.#open = open;
    this.#reopens = reopens;
    this.disk = disk;
    this.port = settings.port;
    this.#settings = settings;
    this.#life = lifeOf(disk);
  }

  /** @internal */
  async start(): Promise<void> {
    const { signal } = this.#settings;
    if (signal !== undefined) this.#endSignal = onAbort(signal, () => void this.close('the target was stopped'));
    if (signal?.aborted !== true) await this.#reach();
    if (signal?.aborted === true) {
      throw new IsmioError('ERR_ISMIO_ABORTED', 'serving was aborted', {}, signal.reason);
    }
  }

  stats(): BlockTargetStats {
    const total = { ...this.#past };
    let open = 0;
    for (const { counts, isServed } of this.#sessions) {
      if (isServed) open++;
      total.moves += counts.moves;
      total.signals += counts.signals;
      total.rescued += counts.rescued;
    }
    return { open, refused: this.#refused, breaches: this.#breaches, ...this.#counts, ...total };
  }

  /**
   * Takes no more, and has its initiators end their sessions: what they were answered is flushed, and what they were not they ask
   * the next target. Those that do not are cut off after the time of `grace`. Again: waits for the same end.
   */
  close(reason = 'the target has closed'): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(reason: string): Promise<void> {
    this.#endSignal();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#listener?.close();
    this.#unlist();
    for (const session of this.#sessions) session.leave(reason);
    if (this.#sessions.size > 0) {
      await within(this.#settings.grace, (came) => {
        this.#emptied = came;
      });
    }
    for (const session of this.#sessions) session.cut(reason);
    await allWithin(this.#settings.grace, this.#fences);
    await allWithin(farewell, this.#streams);
    if (this.#reopens && this.#ism?.closed === false) this.#ism.close();
    this.#ism = null;
    this.emit('close');
  }

  async #reach(): Promise<void> {
    const ism = await this.#open();
    if (this.#closing !== null) {
      if (this.#reopens) ism.close();
      return;
    }
    const { port, stream } = this.#settings;
    try {
      const options = { mode: 'messages', recordLimit: longestRecord, ...stream } as const;
      this.#listener = ism.listen(port, options, (opened) => {
        const closed = new Promise<void>((resolve) => opened.once('close', resolve));
        const over = closed.then(() => void this.#streams.delete(over));
        this.#streams.add(over);
        this.#sessions.add(new Session(this.#house(ism), opened));
      });
    } catch (error) {
      if (this.#reopens) ism.close();
      throw error;
    }
    this.#ism = ism;
    this.#unlist = enter(ism, { disk: this.disk, settings: this.#settings, taken: () => this.#taken() });
    const lost = (error: Error): void => this.#lost(ism, error);
    ism.once('lost', lost);
    ism.once('close', () => lost(new IsmioError('ERR_ISMIO_CLOSED', 'the driver of the function was closed')));
    this.emit('open', ism.gid);
  }

  #lost(ism: Ism, error: Error): void {
    if (this.#ism !== ism) return;
    this.#ism = null;
    this.#listener = null;
    this.#unlist();
    for (const session of this.#sessions) session.cut(error.message);
    if (this.#closing !== null) return;
    this.emit('lost', error);
    if (!ism.closed) ism.close();
    if (this.#reopens) this.#reachLater();
    else void this.close('its function has gone');
  }

  #reachLater(): void {
    this.#timer = setTimeout(() => {
      this.#reach().then(
        () => this.#retry.succeeded(),
        () => {
          if (this.#closing === null) this.#reachLater();
        },
      );
    }, this.#retry.next());
  }

  #house(ism: Ism): House {
    return {
      ...{ ism, disk: this.disk, life: this.#life, settings: this.#settings, counts: this.#counts },
      untold: this.#untold,
      admit: (session) => {
        const admitted = this.#admission.then(() => this.#admit(session));
        this.#admission = admitted.catch(() => undefined);
        return admitted;
      },
      listed: (gid) => listFor(ism, gid, this.#settings.key),
      othersWrote: ({ writes }) => writes && this.#writer?.othersWrote === true,
      began: (session) => {
        const { gid, writes } = session;
        if (writes) this.#writer = { name: nameOf(session), othersWrote: false }; // it has heard of it
        this.emit('attach', gid, writes);
      },
      refused: ({ gid }, code, reason) => {
        this.#refused++;
        if (code === 'protocol') this.#breaches++;
        this.emit('refused', gid, code, reason);
      },
      diskFailed: (failure) => this.emit('failed', failure),
      corrupted: ({ gid }, error) => this.emit('corrupt', gid, error),
      ended: (session, reason) => this.#ended(session, reason),
    };
  }

  /**
   * The fence: an initiator's earlier session is ended, so that its memory takes no more requests, and whoever is let in waits until
   * nothing of any session that has ended is asked of the medium.
   */
  async #admit(session: Session): Promise<Awaited<ReturnType<House['admit']>>> {
    for (const other of this.#sessions) {
      const isSame = other !== session && nameOf(other) === nameOf(session);
      if (isSame) other.cut('its initiator has come back by another stream');
    }
    while (this.#fences.size > 0) await Promise.all(this.#fences);
    if (this.#closing !== null || !this.#sessions.has(session))
      return { code: 'closed', reason: 'the target has closed' };
    const others = [...this.#admitted].filter((one) => one !== session);
    if (others.length >= this.#settings.maxInitiators) {
      return { code: 'full', reason: `${others.length} initiators have the disk, which is all that may` };
    }
    const writer = session.writes ? others.find(({ writes }) => writes) : undefined;
    if (writer !== undefined) {
      return { code: 'busy', reason: `function 0x${writer.gid.toString(16)} writes; it may be had read-only` };
    }
    this.#admitted.add(session);
    if (session.writes) {
      const name = nameOf(session);
      const before = this.#writer;
      this.#writer = { name, othersWrote: before !== null && (before.name !== name || before.othersWrote) };
    }
    return null;
  }

  #taken(): { writer: bigint | null; readers: number } {
    const writer = [...this.#admitted].find(({ writes }) => writes);
    return { writer: writer?.gid ?? null, readers: this.#admitted.size - (writer === undefined ? 0 : 1) };
  }

  /** Those that were let in and have not ended. */
  readonly #admitted = new Set<Session>();

  #ended(session: Session, reason: string | null): void {
    this.#sessions.delete(session);
    const { moves, signals, rescued } = session.counts;
    this.#past.moves += moves;
    this.#past.signals += signals;
    this.#past.rescued += rescued;
    const fence = session.settled().then(() => void this.#fences.delete(fence));
    this.#fences.add(fence);
    if (this.#admitted.delete(session)) this.emit('detach', session.gid, reason);
    if (this.#sessions.size === 0) this.#emptied();
  }
}

function allWithin(milliseconds: number, promises: Iterable<Promise<void>>): Promise<void> {
  return within(milliseconds, (came) => void Promise.all(promises).then(came));
}

/** Which initiator it is, in whichever of its sessions. */
function nameOf({ gid, initiator }: Session): string {
  return `${gid} ${initiator}`;
}

/** The same while what was written, and not flushed, is still there: else each target's own. */
function lifeOf({ life }: BlockDevice): bigint {
  if (life === undefined) return crypto().randomBytes(8).readBigUInt64BE();
  return crypto().createHash('sha256').update(life).digest().readBigUInt64BE();
}

/**
 * Serves a disk at a port of an ISM function, to one initiator that writes and any that read.
 * @param ism a driver, or what opens one: then the target outlives a fabric that goes and comes back
 * @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE; IsmioError ERR_ISMIO_IN_USE where somebody listens at
 * the port, ERR_ISMIO_ABORTED; what `ism` throws
 */
export async function serveBlock(
  ism: Ism | (() => Promise<Ism>),
  disk: BlockDevice,
  options: ServeBlockOptions = {},
): Promise<BlockTarget> {
  const settings = checkServe(disk, options);
  const reopens = typeof ism === 'function';
  const target = new BlockTarget(reopens ? ism : () => Promise.resolve(ism), reopens, disk, settings);
  try {
    await target.start();
  } catch (error) {
    await target.close('the target could not begin');
    throw error;
  }
  return target;
}
