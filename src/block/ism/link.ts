// What keeps an initiator at its target: the session that is open, a new one when it was lost, and what is to be asked meanwhile.
// A new session has a new epoch and new memory, and begins when nothing of the last one can reach the medium: so what was in
// flight may be asked again.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ism } from '../../ism/driver/ism.js';
import { KeptDriver } from '../../ism/driver/kept.js';
import { onAbort } from '../../support/abort.js';
import { crypto } from '../../support/builtins.js';
import { IsmioError, isIsmioError } from '../../support/errors.js';
import { Retry } from '../../support/retry.js';
import { within } from '../../support/within.js';
import { Backlog } from './backlog.js';
import { Dialogue, type Welcome } from './dialogue.js';
import { Ledger } from './ledger.js';
import { dataDmbs } from './memory.js';
import type { Operation } from './operation.js';
import type { Opening } from './options.js';
import { checkSame } from './same.js';
import { Slots } from './slots.js';
import { command, digest, diskFlag, packTokens, unpackTokens } from './wire.js';

/** How a disk over ISM stands: 'lost' is looked for; 'away' has failed what waited, and is looked for as well. */
export type IsmDiskState = 'connecting' | 'open' | 'lost' | 'away' | 'closed';

export interface LinkSetup {
  readonly open: () => Promise<Ism>;
  /** Whether `open` opens a driver each time, which is then closed here. */
  readonly reopens: boolean;
  readonly gid: bigint;
  readonly settings: Opening;
  readonly told: {
    state(state: IsmDiskState): void;
    /** The target was lost, or is leaving and will be back. */
    lost(error: Error): void;
    /** It is of no use any more. */
    failed(error: Error): void;
  };
}

interface Current {
  readonly slots: Slots;
  readonly dialogue: Dialogue;
  /** Nothing more is asked of it. */
  isLeaving: boolean;
}

export class Link {
  readonly #setup: LinkSetup;
  readonly #initiator = crypto().randomBytes(8).readBigUInt64BE();
  readonly #retry = new Retry();
  readonly #abandon = new AbortController();
  readonly #driver: KeptDriver;
  #welcome: Welcome | null = null;
  #current: Current | null = null;
  #state: IsmDiskState = 'connecting';
  /** Why everything fails, once it does. */
  #failure: Error | null = null;
  /** Behind `close`: when nothing is in flight or waits; and when the session has ended. */
  #idle: (() => void) | null = null;
  #left: () => void = () => undefined;
  #timer: NodeJS.Timeout | null = null;
  #limit: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  readonly #ledger = new Ledger();
  readonly #backlog = new Backlog(this.#ledger);
  #replayed = 0;
  #sessions = 0;

  constructor(setup: LinkSetup) {
    this.#setup = setup;
    this.#driver = new KeptDriver(setup.open, setup.reopens);
  }

  /** Of the disk at the target, and where that is. */
  get name(): string {
    return `${this.#welcome?.name ?? 'disk'} of function 0x${this.#setup.gid.toString(16)}`;
  }

  /** What the target said last; null before it did. */
  get welcome(): Welcome | null {
    return this.#welcome;
  }

  get state(): IsmDiskState {
    return this.#state;
  }

  get counts() {
    const { moves, signals, rescued } = this.#current?.slots.counts ?? { moves: 0, signals: 0, rescued: 0 };
    const inFlight = this.#current?.slots.inFlight ?? 0;
    const own = { replayed: this.#replayed, sessions: this.#sessions, waiting: this.#backlog.length };
    return { ...own, inFlight, moves, signals, rescued };
  }

  /** What writers were promised. */
  get ledger(): Ledger {
    return this.#ledger;
  }

  /** Opens a session for the first time. */
  begin(): Promise<void> {
    return this.#connect();
  }

  /** Asks, now or when it may. */
  submit(operation: Operation): void {
    const current = this.#current;
    if (current !== null && !current.isLeaving && current.slots.free > 0 && this.#backlog.length === 0) {
      this.#issue(current, operation);
    } else if (this.#failure !== null) operation.ended({ error: this.#failure });
    else if (this.#fails) operation.ended({ error: this.#lostError() });
    else this.#backlog.push(operation);
  }

  /** Whether what comes fails now. */
  get #fails(): boolean {
    return this.#state === 'away' || (this.#state === 'lost' && this.#setup.settings.mode === 'fail-all');
  }

  /** What waits is asked while there are slots. */
  #pump(): void {
    const current = this.#current;
    if (current === null) return;
    while (this.#backlog.length > 0 && !current.isLeaving && current.slots.free > 0) {
      this.#issue(current, this.#backlog.shift());
    }
    this.#leaveWhenIdle(current);
    this.#tellIdle();
  }

  #issue({ slots }: Current, operation: Operation): void {
    const loss = operation.command === command.flush ? this.#ledger.takeLoss() : null;
    if (loss === null) slots.issue(operation);
    else {
      const text = `${this.name}: what was written and not flushed may be lost, since ${loss}`;
      operation.ended({ error: new IsmioError('ERR_ISMIO_BLOCK_LOST', text, { errno: 'EIO', reason: 'unflushed' }) });
    }
  }

  /** Waits for what is in flight, leaves, and fails what is left: within twice `grace`. Again: waits for the same end. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  closedError(): IsmioError {
    return new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
  }

  async #close(): Promise<void> {
    for (const timer of [this.#timer, this.#limit]) if (timer !== null) clearTimeout(timer);
    this.#abandon.abort();
    const { settings } = this.#setup;
    if (this.#current !== null) await within(settings.grace, (resolve) => this.#whenIdle(resolve));
    const current = this.#current;
    if (current !== null) {
      current.dialogue.leave('it was closed');
      await within(settings.grace, (resolve) => {
        this.#left = resolve;
      });
    }
    this.#drop(this.closedError());
    this.#driver.close();
    this.#setState('closed');
  }

  #whenIdle(idle: () => void): void {
    this.#idle = idle;
    this.#tellIdle();
  }

  #tellIdle(): void {
    const isIdle = this.#backlog.length === 0 && (this.#current?.slots.inFlight ?? 0) === 0;
    if (isIdle) this.#idle?.();
  }

  /** Ends the session here, and fails whatever is left. */
  #drop(error: Error): void {
    this.#failure ??= error;
    const current = this.#current;
    this.#current = null;
    const left = current?.slots.close() ?? [];
    current?.dialogue.destroy();
    this.#backlog.failAll(this.#failure, left);
    this.#idle?.();
    this.#left();
  }

  async #connect(): Promise<void> {
    const ism = await this.#driver.get();
    const { signal } = this.#abandon;
    if (signal.aborted) return;
    const setup = { ism, gid: this.#setup.gid, initiator: this.#initiator, settings: this.#setup.settings, signal };
    const dialogue = await Dialogue.open(setup);
    const endWaiting = onAbort(signal, () => dialogue.destroy());
    try {
      const welcome = await dialogue.greet();
      if (this.#welcome !== null) checkSame(this.name, this.#welcome, welcome);
      if ((welcome.flags & diskFlag.othersWrote) !== 0) this.#failDoubtful(); // it is said once
      await this.#begin(ism, dialogue, welcome);
    } catch (error) {
      dialogue.destroy();
      throw error;
    } finally {
      endWaiting();
    }
  }

  async #begin(ism: Ism, dialogue: Dialogue, welcome: Welcome): Promise<void> {
    const { slots: count, ioBytes, epoch, heads, data, digest: hasDigest } = welcome;
    const current: { -readonly [Name in keyof Current]: Current[Name] } = {
      dialogue,
      isLeaving: false,
      slots: new Slots({
        ...{ ism, gid: this.#setup.gid, epoch, slots: count, ioBytes, hasDigest: hasDigest === digest.crc32c },
        drained: () => this.#pump(),
        failed: (error) => this.#over(current, error, null),
      }),
    };
    try {
      current.slots.reach(unpackTokens(heads, data, dataDmbs({ slots: count, ioBytes })));
      const own = current.slots.tokens;
      await dialogue.begin(own.heads, packTokens(own.data), {
        leaving: (reason) => this.#targetLeaves(current, reason),
        over: (error, flushed) => this.#over(current, error, flushed),
      });
    } catch (error) {
      current.slots.close();
      throw error;
    }
    if (this.#closing !== null) {
      current.slots.close();
      throw this.closedError();
    }
    this.#opened(current, welcome);
  }

  #opened(current: Current, welcome: Welcome): void {
    const before = this.#welcome;
    if (before !== null && before.life !== welcome.life) this.#ledger.mayBeLost('its target was begun anew');
    this.#welcome = welcome;
    this.#current = current;
    this.#sessions++;
    this.#retry.succeeded();
    if (this.#limit !== null) clearTimeout(this.#limit);
    this.#limit = null;
    this.#setState('open');
    this.#pump();
  }

  #targetLeaves(current: Current, reason: string): void {
    current.isLeaving = true;
    this.#setup.told.lost(new IsmioError('ERR_ISMIO_ISM_PEER_DIED', `the target leaves: ${reason}`));
    this.#leaveWhenIdle(current);
  }

  /** A target that leaves has its answers out first. */
  #leaveWhenIdle(current: Current): void {
    if (current.isLeaving && current.slots.inFlight === 0) current.dialogue.leave('the target leaves');
  }

  #over(current: Current, error: Error, isFlushed: boolean | null): void {
    if (this.#current !== current) return;
    this.#current = null;
    const left = current.slots.close();
    current.dialogue.destroy();
    if (isFlushed === true) this.#ledger.flushed(this.#ledger.answered);
    if (isFlushed === false) this.#ledger.mayBeLost('its target could not flush it when it ended');
    if (isFlushed === null && current.isLeaving) this.#ledger.mayBeLost('its target ended without a word of a flush');
    if (this.#closing !== null) {
      this.#backlog.failAll(this.closedError(), left);
      this.#idle?.();
      this.#left();
      return;
    }
    this.#lose(left, error, current.isLeaving);
  }

  #lose(left: readonly Operation[], error: Error, wasLeaving: boolean): void {
    const { mode, timeout } = this.#setup.settings;
    this.#backlog.lost(left);
    if (mode === 'queue-and-replay') {
      this.#replayed += left.length;
      this.#backlog.replay(left);
    } else this.#backlog.fail(left, this.#lostError(error));
    if (!wasLeaving) this.#setup.told.lost(error);
    if (isRefusal(error)) {
      this.#giveUp(error);
      return;
    }
    this.#setState('lost');
    if (mode === 'fail-all') this.#backlog.failAll(this.#lostError(error));
    else this.#limit = setTimeout(() => this.#expire(error), timeout);
    this.#connectLater();
  }

  #connectLater(): void {
    this.#timer = setTimeout(() => {
      this.#connect().catch((error: Error) => {
        if (this.#closing !== null) return;
        const isOver = isRefusal(error) || this.#driver.isGone;
        if (isOver) this.#giveUp(error);
        else this.#connectLater();
      });
    }, this.#retry.next());
  }

  /** To ask again what another has perhaps overwritten since would bring back what was there before. */
  #failDoubtful(): void {
    const text = `${this.name}: the session was lost, and another has written since; whether this was done is unknown`;
    this.#backlog.failDoubtful(new IsmioError('ERR_ISMIO_BLOCK_LOST', text, { errno: 'EIO', reason: 'others' }));
  }

  #expire(error: Error): void {
    this.#limit = null;
    this.#setState('away');
    this.#backlog.failAll(this.#lostError(error));
  }

  #giveUp(error: Error): void {
    this.#failure = error;
    if (this.#limit !== null) clearTimeout(this.#limit);
    this.#setState('away');
    this.#backlog.failAll(error);
    this.#setup.told.failed(error);
  }

  #lostError(cause?: Error): IsmioError {
    const { mode, timeout } = this.#setup.settings;
    const why =
      mode === 'queue-and-replay' || this.#state === 'away' ? `not there for ${timeout} ms` : `lost (${mode})`;
    const text = `${this.name}: its target was ${why}; it is looked for, and asked again it may be back`;
    return new IsmioError('ERR_ISMIO_BLOCK_LOST', text, { errno: 'EIO', reason: 'lost' }, cause);
  }

  #setState(state: IsmDiskState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#setup.told.state(state);
  }
}

/** The target is there, and does not want this end: to ask again gives the same answer. One that is busy or closes may have changed. */
function isRefusal(error: Error): boolean {
  return isIsmioError(error, 'ERR_ISMIO_BLOCK') && !passing.has(String(error['reason']));
}

const passing: ReadonlySet<string> = new Set(['busy', 'closed', 'full', 'idle']);
