// One console: a line, what it has said, and who is there. One of them writes; the others look on.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { crypto } from '../support/builtins.js';
import { type Attachment, type ConsoleAccess, isSameClient } from './access.js';
import { History } from './history.js';
import type { Line, LineEnd, OpenLine } from './line.js';
import type { Outbox } from './outbox.js';
import { Screen } from './screen.js';
import type { ConsoleRole, TerminalSize } from './view.js';
import { endings, policies, roles } from './wire.js';

/** What becomes of a console whose line has ended. */
export type OnExit = (typeof policies)[number];

export interface RoomSetup {
  readonly name: string;
  readonly open: OpenLine;
  readonly history: number;
  readonly size: TerminalSize;
  readonly onExit: OnExit;
  readonly access: ConsoleAccess;
}

/** Somebody who is there. */
export interface Guest extends Attachment {
  readonly outbox: Outbox;
  role: ConsoleRole;
  /** Of its window; 0 by 0 where it has none. */
  size: TerminalSize;
  /** No more keys until `resume`. */
  pause(): void;
  resume(): void;
  /** The console closes; what was said goes out first. */
  dismiss(reason: string): void;
  /** Its client has come back by a newer stream, and has left this one. */
  supersede(): void;
}

/** What is told to those who keep the books. */
export interface RoomListener {
  happened(event: string, gid: bigint | null, values: Record<string, unknown>): void;
  /** Nobody is let in any more. */
  closing(): void;
  /** The last who was there has gone. */
  closed(): void;
}

/** Fewer bytes than this are an echo, or a line: they go out at once. */
const little = 1024;
/** Milliseconds until a line that ended is opened again; twice as many each time that it lasted less than `lasting`. */
const firstPause = 250;
const longestPause = 30_000;
const lasting = 5000;

export class Room {
  readonly setup: RoomSetup;
  /** Tells this console from one of the same name before or after it. */
  readonly life: bigint;
  readonly history: History;
  readonly #listener: RoomListener;
  readonly #guests = new Set<Guest>();
  size: TerminalSize;
  #screen: Promise<Screen> | null = null;
  #line: Line | null = null;
  #end: LineEnd | null = null;
  #writer: Guest | null = null;
  #openedAt = 0;
  #pause = firstPause;
  #timer: NodeJS.Timeout | null = null;
  #isTelling = false;
  #isClosed = false;

  constructor(setup: RoomSetup, listener: RoomListener) {
    this.setup = setup;
    this.size = setup.size;
    this.life = crypto().randomBytes(8).readBigUInt64BE() | 1n; // 0 is no life's
    this.history = new History(setup.history);
    this.#listener = listener;
  }

  get name(): string {
    return this.setup.name;
  }

  get title(): string {
    return this.#line?.title ?? '';
  }

  get isRunning(): boolean {
    return this.#line !== null;
  }

  get writer(): Guest | null {
    return this.#writer;
  }

  get viewers(): number {
    return this.#guests.size - (this.#writer === null ? 0 : 1);
  }

  /** Opens the line. What cannot be opened is told by the rejection. */
  async start(): Promise<void> {
    this.#screen ??= Screen.of(this.history, this.size);
    await this.#screen;
    this.#openedAt = performance.now();
    const opening: { end: LineEnd | null } = { end: null };
    const listener = {
      output: (bytes: Uint8Array) => this.#said(bytes),
      drained: () => this.#writer?.resume(),
      ended: (end: LineEnd) => {
        opening.end = end;
        this.#ended(end);
      },
    };
    const line = await this.setup.open(listener, this.size);
    this.#end = null;
    if (this.#isClosed) {
      line.close();
      return;
    }
    this.#line = line;
    if (opening.end !== null) this.#ended(opening.end); // it was over before it was there
  }

  /** The screen as it is. */
  async screen(): Promise<{ bytes: Uint8Array; position: number }> {
    const screen = (await this.#screen) as Screen;
    return screen.now();
  }

  /** How the line ended, where it has. */
  get end(): { how: number; status: number; next: number } | null {
    return this.#end === null ? null : told(this.#end, this.setup.onExit);
  }

  /** Somebody comes. A client that was here by a stream which nobody has found dead yet takes its own place. */
  enter(guest: Guest, wish: ConsoleRole): void {
    for (const other of this.#guests) if (isSameClient(other, guest)) other.supersede();
    this.#guests.add(guest);
    if (wish === 'write' && this.#writer === null) this.#give(guest);
    this.#listener.happened('attach', guest.gid, { role: guest.role });
    this.#noticeOthers(guest, `${by(guest)} has come, to ${guest.role}`);
  }

  leave(guest: Guest, reason: string): void {
    if (!this.#guests.delete(guest)) return;
    if (this.#isClosed && this.#guests.size === 0) this.#listener.closed();
    if (this.#writer === guest) this.#writer = null;
    this.#listener.happened('detach', guest.gid, { role: guest.role, reason });
    this.#noticeOthers(guest, `${by(guest)} has gone${guest.role === 'write' ? '; nobody writes now' : ''}`);
  }

  /** `guest` is to write: if nobody else does, or with a reason, which that one is told. */
  promote(guest: Guest, force: boolean, reason: string): void {
    const before = this.#writer;
    if (before === guest) return;
    if (before !== null && !force) {
      guest.outbox.tell('role', { role: roles.indexOf('view'), reason: `${by(before)} writes` });
      return;
    }
    if (before !== null) {
      this.#demote(before, `${by(guest)} has taken over${reason === '' ? '' : `: ${reason}`}`);
      this.#listener.happened('kick', before.gid, { by: guest.gid, reason });
    }
    this.#give(guest);
    guest.outbox.tell('role', { role: roles.indexOf('write'), reason: '' });
    this.#listener.happened('write', guest.gid, { reason });
  }

  /** `guest` looks on from here. */
  demote(guest: Guest, reason: string): void {
    if (this.#writer !== guest) return;
    this.#demote(guest, reason);
    this.#listener.happened('view', guest.gid, { reason });
  }

  /** Keys of whoever writes; those of others go nowhere, and they are told. */
  keys(guest: Guest, bytes: Uint8Array): void {
    if (guest !== this.#writer) {
      const reason = this.#writer === null ? 'nobody writes; ask for it' : `${by(this.#writer)} writes`;
      guest.outbox.tell('role', { role: roles.indexOf('view'), reason });
    } else if (this.#line?.write(bytes) === false) {
      guest.pause();
    }
  }

  sendBreak(guest: Guest): void {
    if (guest !== this.#writer) return;
    try {
      this.#line?.sendBreak?.();
    } catch (error) {
      guest.outbox.notice((error as Error).message);
    }
  }

  /** The window of whoever writes is the size of the terminal. */
  resize(guest: Guest, size: TerminalSize): void {
    guest.size = size;
    if (guest === this.#writer) this.#fit(size);
  }

  close(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#line?.close();
    void this.#screen?.then((screen) => screen.close());
    this.#listener.closing();
    if (this.#guests.size === 0) this.#listener.closed();
    for (const guest of this.#guests) guest.dismiss(reason);
  }

  #give(guest: Guest): void {
    this.#writer = guest;
    guest.role = 'write';
    this.#fit(guest.size);
  }

  #demote(guest: Guest, reason: string): void {
    this.#writer = null;
    guest.role = 'view';
    guest.resume();
    guest.outbox.tell('role', { role: roles.indexOf('view'), reason });
  }

  #fit(size: TerminalSize): void {
    const { columns, rows, xPixels, yPixels } = this.size;
    if (size.columns === 0 || size.rows === 0) return;
    const isSame = size.columns === columns && size.rows === rows;
    if (isSame && size.xPixels === xPixels && size.yPixels === yPixels) return;
    this.size = size;
    this.#line?.resize?.(size);
    if (!isSame) void this.#screen?.then((screen) => screen.resize(size));
    for (const guest of this.#guests) guest.outbox.tell('size', { ...size });
  }

  #said(bytes: Uint8Array): void {
    this.history.append(bytes);
    if (this.#isTelling) return;
    if (bytes.length < little) {
      this.#tellOutput();
      return;
    }
    this.#isTelling = true;
    setImmediate(() => this.#tellOutput());
  }

  /** A terminal that has much to say gives a few thousand bytes at a time: those of one turn of the event loop go out together. */
  #tellOutput(): void {
    this.#isTelling = false;
    void this.#screen?.then((screen) => screen.follow());
    for (const guest of this.#guests) guest.outbox.send();
  }

  #ended(end: LineEnd): void {
    if (this.#isClosed || this.#line === null) return;
    this.#line = null;
    this.#end = end;
    this.#writer?.resume();
    this.#listener.happened('exit', null, { status: end.status, signal: end.signal });
    for (const guest of this.#guests) guest.outbox.tell('exit', told(end, this.setup.onExit));
    if (this.setup.onExit === 'restart') this.#restartLater();
    else if (this.setup.onExit === 'close') this.close('its command has ended');
  }

  #restartLater(): void {
    const lasted = performance.now() - this.#openedAt;
    this.#pause = lasted >= lasting ? firstPause : Math.min(2 * this.#pause, longestPause);
    this.#timer = setTimeout(() => {
      this.start().catch((error: Error) => {
        if (this.#isClosed) return;
        this.#listener.happened('failed', null, { reason: error.message });
        this.#restartLater();
      });
    }, this.#pause);
  }

  #noticeOthers(guest: Guest, text: string): void {
    for (const other of this.#guests) if (other !== guest) other.outbox.notice(text);
  }
}

function told({ status, signal }: LineEnd, onExit: OnExit): { how: number; status: number; next: number } {
  const how = endings.indexOf(signal === null ? 'status' : 'signal');
  return { how, status: signal ?? status, next: policies.indexOf(onExit) };
}

function by({ gid }: Guest): string {
  return `function 0x${gid.toString(16)}`;
}
