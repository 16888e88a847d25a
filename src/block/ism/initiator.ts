// A disk of another function, as a BlockDevice of this process. When the target is lost it is looked for; what was asked waits
// meanwhile, or fails, as `mode` says. A new session has a new epoch and new memory, and begins when nothing of the last one can
// reach the medium: so what was in flight may be asked again.
import { EventEmitter } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ism } from '../../ism/driver/ism.js';
import { onAbort } from '../../support/abort.js';
import { crypto } from '../../support/builtins.js';
import { checkOffset } from '../../support/check.js';
import { IsmioError, isIsmioError } from '../../support/errors.js';
import { Retry } from '../../support/retry.js';
import {
  type BlockDevice,
  type BlockSizes,
  type DiskFeatures,
  type DiskWriteOptions,
  type DiskZeroOptions,
  diskError,
  type Extent,
} from '../disk.js';
import { Dialogue, type Welcome } from './dialogue.js';
import { dataDmbs } from './memory.js';
import type { Opening } from './options.js';
import { type Operation, type Outcome, Slots } from './slots.js';
import {
  type Command,
  command,
  commandNames,
  diskFlag,
  mostExtents,
  packTokens,
  requestFlag,
  unpackTokens,
} from './wire.js';

/** How a disk over ISM stands: 'lost' is looked for; 'away' has failed what waited, and is looked for as well. */
export type IsmDiskState = 'connecting' | 'open' | 'lost' | 'away' | 'closed';

export interface IsmDiskEvents {
  state: [state: IsmDiskState];
  /** The target was lost, or is leaving and will be back; why. */
  lost: [error: Error];
  /** It is of no use any more, since the target refuses or is another one: everything fails from now on. */
  error: [error: Error];
  close: [];
}

/** What was done since it was opened. */
export interface IsmDiskStats {
  readonly requests: number;
  /** Of them those that were asked again in another session. */
  readonly replayed: number;
  readonly sessions: number;
  readonly inFlight: number;
  readonly waiting: number;
  /** Of the session that is open: store blocks into the target's memory, signals, and news that no signal brought. */
  readonly moves: number;
  readonly signals: number;
  readonly rescued: number;
}

interface Current {
  readonly slots: Slots;
  readonly dialogue: Dialogue;
  /** Nothing more is asked of it. */
  isLeaving: boolean;
}

/** What a call asks for, before it is cut into operations. */
type Wanted = Pick<Operation, 'command' | 'offset' | 'length'> & Partial<Pick<Operation, 'flags' | 'most'>>;

/** Made by `openBlock`. */
export class IsmDisk extends EventEmitter<IsmDiskEvents> implements BlockDevice {
  /** Of the function that serves it. */
  readonly gid: bigint;
  readonly #open: () => Promise<Ism>;
  readonly #reopens: boolean;
  readonly #settings: Opening;
  readonly #initiator = crypto().randomBytes(8).readBigUInt64BE();
  readonly #retry = new Retry();
  readonly #abandon = new AbortController();
  #ism: Ism | null = null;
  #welcome: Welcome | null = null;
  #features: DiskFeatures = { trim: false, zero: false, fastZero: false, extents: false, cache: false };
  #current: Current | null = null;
  #state: IsmDiskState = 'connecting';
  /** Why everything fails, once it does. */
  #failure: Error | null = null;
  readonly #waiting: Operation[] = [];
  /** Behind `close`: when nothing is in flight or waits. */
  #idle: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #limit: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;
  #endSignal: () => void = () => undefined;
  /** Writes that were answered, and of them those that are known to be on the medium. */
  #answered = 0;
  #flushed = 0;
  /** The target that had them has gone, and they may have gone with it: the next flush says so. */
  #mayBeLost = false;
  #requests = 0;
  #replayed = 0;
  #sessions = 0;

  /** @internal */
  constructor(open: () => Promise<Ism>, reopens: boolean, gid: bigint, settings: Opening) {
    super();
    this.#open = open;
    this.#reopens = reopens;
    this.gid = gid;
    this.#settings = settings;
  }

  /** @internal Opens it for the first time. */
  async begin(): Promise<this> {
    const { signal } = this.#settings;
    if (signal !== undefined) this.#endSignal = onAbort(signal, () => void this.close());
    try {
      await this.#connect();
    } catch (error) {
      await this.close();
      throw signal?.aborted === true ? aborted(signal) : error;
    }
    if (this.#closing !== null) throw signal === undefined ? this.#closedError() : aborted(signal);
    return this;
  }

  /** Of the disk at the target, and where that is. */
  get name(): string {
    return `${this.#welcome?.name ?? 'disk'} of function 0x${this.gid.toString(16)}`;
  }

  get size(): number {
    return Number(this.#welcome?.size ?? 0);
  }

  get readOnly(): boolean {
    return ((this.#welcome?.flags ?? 0) & diskFlag.readOnly) !== 0;
  }

  get blockSize(): BlockSizes {
    const { minimum, preferred, maximum } = this.#welcome as Welcome;
    return { minimum, preferred, maximum };
  }

  get features(): DiskFeatures {
    return this.#features;
  }

  get state(): IsmDiskState {
    return this.#state;
  }

  stats(): IsmDiskStats {
    const { moves, signals, rescued } = this.#current?.slots.counts ?? { moves: 0, signals: 0, rescued: 0 };
    const inFlight = this.#current?.slots.inFlight ?? 0;
    const counts = { requests: this.#requests, replayed: this.#replayed, sessions: this.#sessions };
    return { ...counts, inFlight, waiting: this.#waiting.length, moves, signals, rescued };
  }

  read(offset: number, target: Uint8Array): Promise<void> {
    this.#check(offset, target.length);
    return this.#inParts({ command: command.read, offset, length: target.length }, (from, to) => ({
      target: target.subarray(from, to),
    }));
  }

  write(offset: number, source: Uint8Array, options: DiskWriteOptions = {}): Promise<void> {
    return this.writePieces(offset, [source], options);
  }

  writePieces(offset: number, pieces: readonly Uint8Array[], { fua = false }: DiskWriteOptions = {}): Promise<void> {
    const length = pieces.reduce((all, piece) => all + piece.length, 0);
    this.#checkWrite(offset, length);
    const flags = fua ? requestFlag.fua : 0;
    return this.#inParts({ command: command.write, offset, length, flags }, (from, to) => ({
      pieces: partOf(pieces, from, to),
    }));
  }

  flush(): Promise<void> {
    this.#check(0, 0);
    const answered = this.#answered;
    return this.#ask({ command: command.flush, offset: 0, length: 0 }).then(() => {
      this.#flushed = Math.max(this.#flushed, answered);
    });
  }

  trim(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
    return this.#whole({ command: command.trim, offset, length });
  }

  zero(offset: number, length: number, options: DiskZeroOptions = {}): Promise<void> {
    this.#checkWrite(offset, length);
    const { fua = false, fast = false, mayTrim = false } = options;
    const flags = (fua ? requestFlag.fua : 0) | (fast ? requestFlag.fast : 0) | (mayTrim ? requestFlag.mayTrim : 0);
    return this.#whole({ command: command.zero, offset, length, flags });
  }

  cache(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    return this.#whole({ command: command.cache, offset, length });
  }

  async extents(offset: number, length: number, most: number): Promise<Extent[]> {
    this.#check(offset, length);
    if (length === 0) return [];
    const wanted = { command: command.extents, offset, length, most: Math.min(most, mostExtents) };
    const outcome = await this.#ask(wanted);
    return [...(outcome as { readonly extents: readonly Extent[] }).extents];
  }

  /**
   * Waits for what is in flight, for the time of `grace` at most, and leaves; what is not done by then fails. Where the target is
   * lost nothing is waited for. Again: waits for the same end.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#endSignal();
    for (const timer of [this.#timer, this.#limit]) if (timer !== null) clearTimeout(timer);
    this.#abandon.abort();
    const { grace } = this.#settings;
    if (this.#current !== null) await within(grace, (resolve) => this.#whenIdle(resolve));
    const current = this.#current;
    if (current !== null) {
      current.dialogue.leave('it was closed');
      await within(grace, (resolve) => {
        this.#left = resolve;
      });
    }
    this.#drop(this.#closedError());
    if (this.#reopens && this.#ism?.closed === false) this.#ism.close();
    this.#ism = null;
    this.#setState('closed');
    this.emit('close');
  }

  /** The session has ended behind `close`. */
  #left: () => void = () => undefined;

  #whenIdle(idle: () => void): void {
    this.#idle = idle;
    this.#tellIdle();
  }

  #tellIdle(): void {
    const isIdle = this.#waiting.length === 0 && (this.#current?.slots.inFlight ?? 0) === 0;
    if (isIdle) this.#idle?.();
  }

  /** Ends the session here, and fails whatever is left. */
  #drop(error: Error): void {
    this.#failure ??= error;
    const current = this.#current;
    this.#current = null;
    const left = current?.slots.close() ?? [];
    current?.dialogue.destroy();
    this.#fail([...left, ...this.#waiting.splice(0)], this.#failure);
    this.#idle?.();
    this.#left();
  }

  #fail(operations: readonly Operation[], error: Error): void {
    for (const { ended } of operations) ended({ error });
  }

  async #connect(): Promise<void> {
    const ism = await this.#driver();
    const { signal } = this.#abandon;
    if (signal.aborted) return;
    const setup = { ism, gid: this.gid, initiator: this.#initiator, settings: this.#settings, signal };
    const dialogue = await Dialogue.open(setup);
    const endWaiting = onAbort(signal, () => dialogue.destroy());
    try {
      const welcome = await dialogue.greet();
      this.#checkSame(welcome);
      await this.#begin(ism, dialogue, welcome);
    } catch (error) {
      dialogue.destroy();
      throw error;
    } finally {
      endWaiting();
    }
  }

  async #begin(ism: Ism, dialogue: Dialogue, welcome: Welcome): Promise<void> {
    const { slots: count, ioBytes, epoch, heads, data } = welcome;
    const current: { -readonly [Name in keyof Current]: Current[Name] } = {
      dialogue,
      isLeaving: false,
      slots: new Slots({
        ...{ ism, gid: this.gid, epoch, slots: count, ioBytes },
        drained: () => this.#pump(),
        failed: (error) => this.#over(current, error, false),
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
      throw this.#closedError();
    }
    this.#opened(current, welcome);
  }

  #opened(current: Current, welcome: Welcome): void {
    const before = this.#welcome;
    if (before !== null && before.life !== welcome.life && this.#answered > this.#flushed) this.#mayBeLost = true;
    this.#welcome = welcome;
    this.#features = featuresOf(welcome.flags);
    this.#current = current;
    this.#sessions++;
    this.#retry.succeeded();
    if (this.#limit !== null) clearTimeout(this.#limit);
    this.#limit = null;
    this.#setState('open');
    this.#pump();
  }

  /** One that was lost is of no use: another is opened. */
  async #driver(): Promise<Ism> {
    if (this.#ism !== null && !this.#ism.closed) return this.#ism;
    const ism = await this.#open();
    this.#ism = ism;
    if (this.#closing !== null && this.#reopens) ism.close();
    ism.once('lost', () => {
      if (this.#reopens && !ism.closed) ism.close();
    });
    return ism;
  }

  /** What programs were told of the disk stays true, or it is of no use to them. */
  #checkSame(welcome: Welcome): void {
    const before = this.#welcome;
    if (before === null) return;
    const mayLess = (before.flags & ~welcome.flags & ~diskFlag.readOnly) !== 0;
    const becameReadOnly = (welcome.flags & ~before.flags & diskFlag.readOnly) !== 0;
    const isGone = (before.flags & diskFlag.lasting) === 0 && before.life !== welcome.life;
    const isLike = before.size === welcome.size && before.ioBytes <= welcome.ioBytes && !mayLess && !becameReadOnly;
    const isSame = isLike && !isGone;
    if (isSame) return;
    const how = isGone && isLike ? 'its target has ended, and had it in memory' : `it has ${welcome.size} bytes`;
    const text = `${this.name} is another disk than before: ${how}`;
    throw new IsmioError('ERR_ISMIO_BLOCK', text, { reason: 'another', size: Number(welcome.size) });
  }

  #targetLeaves(current: Current, reason: string): void {
    current.isLeaving = true;
    this.emit('lost', new IsmioError('ERR_ISMIO_ISM_PEER_DIED', `the target leaves: ${reason}`));
    this.#leaveWhenIdle(current);
  }

  /** A target that leaves has its answers out first. */
  #leaveWhenIdle(current: Current): void {
    if (current.isLeaving && current.slots.inFlight === 0) current.dialogue.leave('the target leaves');
  }

  #over(current: Current, error: Error, isFlushed: boolean): void {
    if (this.#current !== current) return;
    this.#current = null;
    const left = current.slots.close();
    current.dialogue.destroy();
    if (isFlushed) this.#flushed = this.#answered;
    if (this.#closing !== null) {
      this.#fail([...left, ...this.#waiting.splice(0)], this.#closedError());
      this.#idle?.();
      this.#left();
      return;
    }
    this.#lose(left, error, current.isLeaving);
  }

  #lose(left: readonly Operation[], error: Error, wasLeaving: boolean): void {
    const { mode, timeout } = this.#settings;
    if (mode === 'queue-and-replay') {
      this.#replayed += left.length;
      this.#waiting.unshift(...left);
    } else this.#fail(left, this.#lostError(error));
    if (!wasLeaving) this.emit('lost', error);
    if (isRefusal(error)) {
      this.#giveUp(error);
      return;
    }
    this.#setState('lost');
    if (mode === 'fail-all') this.#fail(this.#waiting.splice(0), this.#lostError(error));
    else this.#limit = setTimeout(() => this.#expire(error), timeout);
    this.#connectLater();
  }

  #connectLater(): void {
    this.#timer = setTimeout(() => {
      this.#connect().catch((error: Error) => {
        if (this.#closing !== null) return;
        const isOver = isRefusal(error) || (!this.#reopens && this.#ism?.closed === true);
        if (isOver) this.#giveUp(error);
        else this.#connectLater();
      });
    }, this.#retry.next());
  }

  #expire(error: Error): void {
    this.#limit = null;
    this.#setState('away');
    this.#fail(this.#waiting.splice(0), this.#lostError(error));
  }

  #giveUp(error: Error): void {
    this.#failure = error;
    if (this.#limit !== null) clearTimeout(this.#limit);
    this.#setState('away');
    this.#fail(this.#waiting.splice(0), error);
    if (this.listenerCount('error') > 0) this.emit('error', error);
    else process.emitWarning(error);
  }

  #check(offset: number, length: number): void {
    if (this.#closing !== null) throw this.#closedError();
    checkOffset(offset, length, this.size, this.name);
  }

  #checkWrite(offset: number, length: number): void {
    this.#check(offset, length);
    if (this.readOnly) throw new IsmioError('ERR_ISMIO_READ_ONLY', `${this.name} was opened for reads alone`);
  }

  async #whole(wanted: Wanted): Promise<void> {
    if (wanted.length > 0) await this.#ask(wanted);
  }

  /** A read or write as many operations as it takes. It ends when all of them have. */
  #inParts(
    wanted: Wanted,
    part: (from: number, to: number) => Partial<Pick<Operation, 'pieces' | 'target'>>,
  ): Promise<void> {
    const { offset, length } = wanted;
    const { ioBytes } = this.#welcome as Welcome;
    if (length === 0) return Promise.resolve();
    if (length <= ioBytes) return this.#ask(wanted, part(0, length)).then(nothing);
    const asked: Promise<Outcome>[] = [];
    for (let at = 0; at < length; at += ioBytes) {
      const end = Math.min(at + ioBytes, length);
      asked.push(this.#ask({ ...wanted, offset: offset + at, length: end - at }, part(at, end)));
    }
    // Memory belongs to the call until it is done: the first failure is told when all have ended.
    return Promise.allSettled(asked).then((all) => {
      const failed = all.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    });
  }

  #ask(wanted: Wanted, data: Partial<Pick<Operation, 'pieces' | 'target'>> = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const { command: asked, offset, length, flags = 0, most = 0 } = wanted;
      const { pieces = [], target = null } = data;
      this.#requests++;
      this.#submit({
        ...{ command: asked, flags, offset, length, most, pieces, target },
        ended: (outcome) => {
          if (outcome !== null && 'error' in outcome) reject(outcome.error);
          else if (outcome !== null && 'errno' in outcome) reject(this.#diskFailed(wanted, outcome.errno));
          else {
            if (changes.has(asked) && (flags & requestFlag.fua) === 0) this.#answered++;
            resolve(outcome);
          }
        },
      });
    });
  }

  #diskFailed({ command: asked, offset, length }: Wanted, errno: string): IsmioError {
    return diskError(this.name, `a ${commandNames.get(asked)}`, errno, { offset, length });
  }

  #submit(operation: Operation): void {
    const current = this.#current;
    if (current !== null && !current.isLeaving && current.slots.free > 0 && this.#waiting.length === 0) {
      this.#issue(current, operation);
    } else if (this.#failure !== null) operation.ended({ error: this.#failure });
    else if (this.#fails) operation.ended({ error: this.#lostError() });
    else this.#waiting.push(operation);
  }

  /** Whether what comes fails now. */
  get #fails(): boolean {
    return this.#state === 'away' || (this.#state === 'lost' && this.#settings.mode === 'fail-all');
  }

  /** What waits is asked while there are slots. */
  #pump(): void {
    const current = this.#current;
    if (current === null) return;
    while (this.#waiting.length > 0 && !current.isLeaving && current.slots.free > 0) {
      this.#issue(current, this.#waiting.shift() as Operation);
    }
    this.#leaveWhenIdle(current);
    this.#tellIdle();
  }

  #issue({ slots }: Current, operation: Operation): void {
    if (operation.command === command.flush && this.#mayBeLost) {
      this.#mayBeLost = false;
      this.#flushed = this.#answered;
      const text = `${this.name} was begun anew since the last flush: what was written and not flushed may be lost`;
      operation.ended({ error: new IsmioError('ERR_ISMIO_BLOCK_LOST', text, { errno: 'EIO', reason: 'unflushed' }) });
    } else slots.issue(operation);
  }

  #lostError(cause?: Error): IsmioError {
    const { mode, timeout } = this.#settings;
    const why =
      mode === 'queue-and-replay' || this.#state === 'away' ? `not there for ${timeout} ms` : `lost (${mode})`;
    const text = `${this.name}: its target was ${why}; it is looked for, and asked again it may be back`;
    return new IsmioError('ERR_ISMIO_BLOCK_LOST', text, { errno: 'EIO', reason: 'lost' }, cause);
  }

  #closedError(): IsmioError {
    return new IsmioError('ERR_ISMIO_CLOSED', `${this.name} was closed`);
  }

  #setState(state: IsmDiskState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit('state', state);
  }
}

const changes: ReadonlySet<Command> = new Set([command.write, command.zero, command.trim]);

const nothing = (): void => undefined;

/** The target is there, and does not want this end: to ask again gives the same answer. One that is busy or closes may have changed. */
function isRefusal(error: Error): boolean {
  return isIsmioError(error, 'ERR_ISMIO_BLOCK') && !passing.has(String(error['reason']));
}

const passing: ReadonlySet<string> = new Set(['busy', 'closed', 'full', 'idle']);

function featuresOf(flags: number): DiskFeatures {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const { trim, zero, fastZero, extents, cache } = diskFlag;
  return { trim: has(trim), zero: has(zero), fastZero: has(fastZero), extents: has(extents), cache: has(cache) };
}

/** The bytes of several pieces from one place to another. */
function partOf(pieces: readonly Uint8Array[], from: number, to: number): readonly Uint8Array[] {
  if (from === 0 && pieces.length === 1 && pieces[0]?.length === to) return pieces;
  const found: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [start, end] = [Math.max(from - at, 0), Math.min(to - at, piece.length)];
    if (start < end) found.push(piece.subarray(start, end));
    at += piece.length;
  }
  return found;
}

/** What may not come is waited for so long. */
function within(milliseconds: number, wait: (came: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    wait(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function aborted(signal: AbortSignal): IsmioError {
  return new IsmioError('ERR_ISMIO_ABORTED', 'opening the disk was aborted', {}, signal.reason);
}
