// One end of a stream, as a state machine: no timers and no I/O of its own. It does one thing at a time (`step`): it looks at
// what the peer says, or it publishes what this end has to say. docs/ism-stream.md has the rules, which are few:
//
//   publish, then look:  whoever goes to sleep has said so first, and has looked again behind that
//   a signal answers an arm:  who published what an armed peer waits for, or finds that it has, publishes with a signal
//
// So of two ends that act at once, one sees the other; and each arm costs one signal.
import type { IsmioError } from '../../support/errors.js';
import { ControlBlock } from './control-block.js';
import { type Copy, Incoming } from './incoming.js';
import { flag } from './layout.js';
import { type Move, Outgoing } from './outgoing.js';
import { Peer, type Said } from './peer.js';
import { aborted, breach, dead, type Reason, reasons } from './reasons.js';

/** What the two hellos settled. Times are milliseconds. */
export interface Link {
  readonly move: Move;
  /** This end's DMB. */
  readonly memory: Uint8Array;
  /** Copies out of it. Default: V8 does. */
  readonly copy?: Copy;
  readonly epoch: number;
  readonly ring: number;
  /** This end publishes at least as often. */
  readonly heartbeat: number;
  readonly peer: { readonly epoch: number; readonly ring: number; readonly heartbeat: number };
}

/** How long a block may stay torn: a move takes microseconds, but whoever copies may be kept from its CPU. */
const tornPatience = 1000;
/** How soon a torn block is looked at again. */
const tornPause = 1;
/** How long news that the slow timer found wait for their signal before they count as rescued. */
const grace = 20;
/** How long a peer that has ended as well may leave the rest unread before its memory is given up: no program waits for it here. */
const lingering = 60_000;
/** Steps of one `flush`: a peer that has always something new does not keep this thread. */
const mostSteps = 16;

export class End {
  readonly #link: Link;
  readonly #peer: Peer;
  readonly #outgoing: Outgoing;
  readonly #incoming: Incoming;
  readonly #block: ControlBlock;
  #said: Said & { readonly answers: number } = { prod: 0, cons: 0, arms: 0, flags: 0, answers: 0 };
  /** Something may have changed since the last look. */
  #stale = true;
  #finishing = false;
  #beatDue = false;
  #publishedAt: number;
  #heardAt: number;
  #lookedAt: number;
  #tornSince: number | null = null;
  #heldUntil: number | null = null;
  /** The peer's cons when only its program was missing, and since when. */
  #unread: { readonly cons: number; readonly since: number } | null = null;
  #over = false;
  #error: IsmioError | null = null;

  /** Whether bytes are wanted: then it asks to be woken when there are none. */
  reading = false;
  /** Whether its owner looks again soon, whatever comes: then it does not ask to be woken. */
  patient = false;
  /** How often there was news of the peer. */
  heard = 0;
  /** Wake-ups that only the slow timer brought. None is to be seen: a signal was lost, or a rule broken. */
  rescued = 0;

  constructor(link: Link, now: number) {
    this.#link = link;
    this.#peer = new Peer(link.memory, link.epoch, link.ring);
    this.#outgoing = new Outgoing(link.move, link.peer.ring);
    this.#incoming = new Incoming(
      link.memory,
      this.#peer,
      link.ring,
      link.copy ?? ((target, source) => target.set(source)),
    );
    this.#block = new ControlBlock(link.peer.epoch);
    this.#publishedAt = this.#heardAt = this.#lookedAt = now;
  }

  /** Bytes that may be offered and will be placed at once. */
  get room(): number {
    const { queued, prod } = this.#outgoing;
    return this.#link.peer.ring - (prod - this.#peer.cons) - queued;
  }

  /** Bytes that were offered and have no room yet. */
  get queued(): number {
    return this.#outgoing.queued;
  }

  get available(): number {
    return this.#incoming.available;
  }

  /** The peer has ended its direction, and everything was read. */
  get atEnd(): boolean {
    return this.#peer.has(flag.end) && this.#incoming.available === 0;
  }

  /** Nothing will be sent any more, and the peer sends nothing any more: the DMB may go. */
  get over(): boolean {
    return this.#over;
  }

  /** Why it is over, where not both directions came to their end. */
  get error(): IsmioError | null {
    return this.#error;
  }

  /** Between a look of the slow timer that found news and their signal, which is late or lost. */
  get holding(): boolean {
    return this.#heldUntil !== null;
  }

  /** Takes a chunk to send, without a copy: it must stay as it is until nothing is queued. */
  offer(chunk: Uint8Array): void {
    this.#outgoing.offer(chunk);
    this.#stale = true; // an arm that is seen before is answered by the move that publishes
  }

  /** Copies what the peer sent into the target. @returns the bytes */
  read(target: Uint8Array): number {
    return this.#incoming.read(target);
  }

  /** Ends this direction behind what was offered. */
  finish(): void {
    this.#finishing = true;
  }

  /** Gives the stream up, and tells the peer why; never behind data. */
  abort(reason: Reason, now: number, error: IsmioError | null = null): void {
    if (!this.#over) this.#giveUp(reasons[reason], error, now);
  }

  /** Ends it for a reason that both ends know of, or that the peer cannot be told. */
  die(error: IsmioError | null): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#has(flag.done)) this.#error = error;
    this.#outgoing.drop();
  }

  /** A signal came. It says nothing but that a look is due. */
  signalled(): void {
    this.#stale = true;
    this.#heldUntil = null;
  }

  /** Does what is due, but for a bounded time. @returns whether there is more to do */
  flush(now: number): boolean {
    for (let steps = 0; steps < mostSteps; steps++) if (!this.step(now)) return false;
    return true;
  }

  /** Looks or publishes, where one of them is due. @returns whether it was; where not, it may sleep until a signal or `deadline` */
  step(now: number): boolean {
    if (this.#over) return false;
    this.#heldUntil = null;
    if (this.#stale) {
      this.#look(now);
      return true;
    }
    try {
      this.#outgoing.place(this.#peer.cons);
      if (!this.#due()) return false;
      this.#publish(now);
    } catch (thrown) {
      this.#failed(thrown, now);
    }
    return true;
  }

  /** Whether a step would do something. */
  get isDue(): boolean {
    return !this.#over && (this.#stale || this.#due());
  }

  /** When `tick` is to be called. */
  get deadline(): number {
    if (this.#over) return Number.POSITIVE_INFINITY;
    if (this.#heldUntil !== null) return this.#heldUntil;
    if (this.#tornSince !== null) return this.#lookedAt + tornPause;
    const look = this.#lookedAt + this.#link.peer.heartbeat / 4;
    return this.#has(flag.done) ? look : Math.min(look, this.#publishedAt + this.#link.heartbeat);
  }

  /** The slow timer: hearts beat, silence is noticed, and a wake-up that was lost is made up for. */
  tick(now: number): void {
    if (this.#over || now < this.deadline) return;
    if (this.#heldUntil !== null) {
      this.#heldUntil = null;
      this.rescued++;
      return;
    }
    const awaited = this.#awaited();
    const { prod, cons, flags } = this.#peer;
    this.#look(now);
    if (this.#over) return;
    if (now - this.#heardAt >= 2 * this.#link.peer.heartbeat) {
      const text = `nothing was heard of the peer for ${now - this.#heardAt} ms, and its heartbeat is ${this.#link.peer.heartbeat} ms`;
      this.#giveUp(reasons.silent, dead(text), now);
      return;
    }
    if (this.#lingers(now)) {
      const text = `both directions have ended, and the peer has read nothing of the rest for ${lingering} ms`;
      this.#giveUp(reasons.unread, dead(text), now);
      return;
    }
    const ended = (this.#peer.flags & ~flags & flag.end) !== 0;
    const data = (awaited & flag.hungry) !== 0 && (ended || this.#peer.prod > prod);
    const credit = (awaited & flag.blocked) !== 0 && this.#peer.cons > cons;
    if (data || credit) this.#heldUntil = now + grace;
    else if (now - this.#publishedAt >= this.#link.heartbeat) this.#beatDue = true;
  }

  /** Everything was said and read here, and the peer does not go on. */
  #lingers(now: number): boolean {
    const { cons } = this.#peer;
    const isWaiting = this.#has(flag.end) && this.atEnd && cons < this.#said.prod;
    if (!isWaiting) this.#unread = null;
    else if (this.#unread?.cons !== cons) this.#unread = { cons, since: now };
    return this.#unread !== null && now - this.#unread.since >= lingering;
  }

  #has(bit: number): boolean {
    return (this.#said.flags & bit) !== 0;
  }

  #look(now: number): void {
    this.#stale = false;
    this.#lookedAt = now;
    try {
      const seen = this.#peer.look(this.#said);
      if (seen === 'torn') this.#torn(now);
      else this.#tornSince = null;
      if (seen === 'news') this.#heard(now);
    } catch (thrown) {
      const error = thrown as IsmioError;
      this.#giveUp(reasons[error.reason as Reason], error, now);
    }
  }

  #heard(now: number): void {
    this.#heardAt = now;
    this.heard++;
    if (this.#peer.has(flag.abort)) this.die(aborted(this.#peer.reason));
    else this.#closeIfDone();
  }

  #torn(now: number): void {
    this.#tornSince ??= now;
    if (now - this.#tornSince < tornPatience) return;
    throw breach('check', `its control block does not fit its check sum, for ${now - this.#tornSince} ms`);
  }

  /** What this end asks to be woken by. */
  #wishes(): number {
    return this.patient ? 0 : this.#wants();
  }

  /** Whether it waits for the peer. */
  get waits(): boolean {
    return !this.#over && this.#wants() !== 0;
  }

  #wants(): number {
    const hungry = this.reading && this.#incoming.available === 0 && !this.#peer.has(flag.end);
    return (hungry ? flag.hungry : 0) | (this.#outgoing.queued > 0 ? flag.blocked : 0);
  }

  /** What it was armed for and still waits for; nothing where it does not sleep. */
  #awaited(): number {
    const awake = this.#stale || this.#tornSince !== null || this.#due();
    return awake ? 0 : this.#wishes() & this.#said.flags;
  }

  #due(): boolean {
    if (this.#has(flag.done)) return false;
    const { prod, cons } = this.#said;
    if (this.#outgoing.prod !== prod || this.#beatDue || this.#endDue() || this.#isComplete()) return true;
    return this.#creditDue() || this.#armDue() || this.#owes(prod, cons);
  }

  #endDue(): boolean {
    return this.#finishing && this.#outgoing.queued === 0 && !this.#has(flag.end);
  }

  /** Both directions have ended, and each was read to its end. */
  #isComplete(): boolean {
    return this.#has(flag.end) && this.#peer.cons === this.#outgoing.prod && this.atEnd;
  }

  /** Half of the ring was read: a peer without any room always gets some, because all of the ring is here to be read. */
  #creditDue(): boolean {
    const unsaid = this.#incoming.cons - this.#said.cons;
    return unsaid >= this.#link.ring / 2 || (unsaid > 0 && this.atEnd);
  }

  /** It wants to sleep, and the peer does not know it, or has already used the arm up. */
  #armDue(): boolean {
    const wishes = this.#wishes();
    return wishes !== 0 && ((wishes & ~this.#said.flags) !== 0 || this.#isUsedUp());
  }

  #isUsedUp(): boolean {
    return this.#peer.answers === this.#said.arms;
  }

  /** The peer is armed, and waits for what these cursors of this end say. */
  #owes(prod: number, cons: number): boolean {
    const peer = this.#peer;
    if (peer.arms === this.#said.answers) return false;
    if (peer.has(flag.hungry) && peer.cons < prod) return true;
    return peer.has(flag.blocked) && peer.prod - cons < this.#link.ring;
  }

  #publish(now: number): void {
    const wishes = this.#wishes();
    const end = this.#has(flag.end) || this.#endDue() ? flag.end : 0;
    const done = this.#isComplete() ? flag.done : 0;
    const flags = wishes | end | done;
    const arms = wishes !== 0 && this.#isUsedUp() ? (this.#said.arms + 1) >>> 0 : this.#said.arms;
    const news = flags & ~this.#said.flags & (flag.end | flag.done);
    this.#send(flags, arms, news !== 0, 0, now);
    this.#stale = true;
    this.#beatDue = false;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#has(flag.done) && this.#peer.has(flag.done)) this.#over = true;
  }

  #send(flags: number, arms: number, urgent: boolean, reason: number, now: number): void {
    const { prod } = this.#outgoing;
    const { cons } = this.#incoming;
    const signal = urgent || this.#owes(prod, cons);
    const answers = signal ? this.#peer.arms : this.#said.answers;
    const said = { prod, cons, arms, flags, answers };
    const bytes = this.#block.write(said, reason, this.#outgoing);
    this.#link.move(0, bytes, signal);
    this.#said = said;
    this.#publishedAt = now;
  }

  /** A move failed. Whoever gave the stream up unregisters its DMB at once, so its reason may already be here. */
  #failed(thrown: unknown, now: number): void {
    this.#look(now);
    this.die(dead('a move into the memory of the peer failed: it has gone, or has closed the stream', thrown));
  }

  #giveUp(reason: number, error: IsmioError | null, now: number): void {
    const wasDone = this.#has(flag.done);
    this.die(error);
    if (wasDone) return;
    try {
      this.#send((this.#said.flags & flag.end) | flag.abort, this.#said.arms, true, reason, now);
    } catch (thrown) {
      // There is nobody to tell.
      this.#error ??= dead('the stream was given up, but the peer could not be told', thrown);
    }
  }
}
