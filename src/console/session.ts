// One client at the server, from its first record to its last: it says what it wants, shows that it has the key where there
// is one, and is then a guest of a room. Whoever breaks the protocol is told so, and is shut out.
import { clearTimeout, setTimeout } from 'node:timers';
import type { IsmStream } from '../ism/stream/stream.js';
import { farewell, hangUp } from '../ism/talk/farewell.js';
import { newNonce, proofOf, proves } from '../ism/talk/key.js';
import { encode, type MessageOf, nonceBytes, type ValuesOf } from '../ism/talk/messages.js';
import { isIsmioError } from '../support/errors.js';
import { type Permission, permissionOf } from './access.js';
import { Outbox } from './outbox.js';
import type { Guest, Room } from './room.js';
import { sizeOf } from './size.js';
import type { ConsoleRole, TerminalSize } from './view.js';
import {
  broken,
  decode,
  type FromClient,
  type FromServer,
  fromClient,
  fromServer,
  positionOf,
  protocol,
  type Refusal,
  refusals,
  replays,
  roles,
  states,
  version,
  wordOf,
} from './wire.js';

/** Of a client that knows of none: positions of whatever life there is. */
const anyLife = 0n;
/** Milliseconds in which a client has to have said what it wants, and shown that it may. */
const helloTime = 5000;

/** The server as a session sees it. */
export interface House {
  readonly gid: bigint;
  readonly key: Uint8Array | null;
  readonly rooms: ReadonlyMap<string, Room>;
  happened(event: string, console: string | null, gid: bigint, values: Record<string, unknown>): void;
}

type Hello = ValuesOf<FromClient['hello']['fields']>;
type Message = MessageOf<FromClient>;
/** What is asked for, until the key was shown. */
type Wish = { readonly what: 'list' } | { readonly what: 'attach'; readonly hello: Hello };

/** What waits until the key was shown, and how each end shows it. */
interface Challenged {
  readonly wish: Wish;
  readonly wanted: Buffer;
  readonly proof: Buffer;
}

export class Session implements Guest {
  readonly gid: bigint;
  attachment = Buffer.alloc(nonceBytes);
  role: ConsoleRole = 'view';
  size: TerminalSize = { columns: 0, rows: 0, xPixels: 0, yPixels: 0 };
  readonly #house: House;
  readonly #stream: IsmStream;
  #outbox: Outbox | null = null;
  #room: Room | null = null;
  #challenged: Challenged | null = null;
  #permission: Permission = 'none';
  #timer: NodeJS.Timeout;
  #isOver = false;
  /** Why it leaves the room, where nothing else is said. */
  #reason = 'its stream has ended';

  constructor(house: House, stream: IsmStream) {
    this.#house = house;
    this.#stream = stream;
    this.gid = stream.remoteGid;
    this.#timer = setTimeout(() => this.#refuse('idle', 'nothing was asked for in time'), helloTime);
    stream.on('data', (record: Uint8Array) => this.#came(record));
    stream.on('error', () => undefined); // 'close' follows
    stream.on('end', () => {
      if (!this.#isOver) this.#left(this.#reason);
      hangUp(this.#stream);
    });
    stream.on('close', () => this.#left(this.#reason));
  }

  get outbox(): Outbox {
    return this.#outbox as Outbox;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  supersede(): void {
    this.#left('its client has come back by another stream');
    this.#stream.destroy();
  }

  /** It is in the room until its client, which has read all of it then, has ended the stream. */
  dismiss(reason: string): void {
    this.#reason = reason;
    this.#timer = setTimeout(() => {
      this.outbox.giveUp();
      this.#shut('closed', reason);
    }, farewell);
    this.outbox.onceEmpty(() => this.#shut('closed', reason));
  }

  #came(record: Uint8Array): void {
    if (this.#isOver) return;
    try {
      const message = decode(fromClient, record);
      if (this.#room !== null) this.#told(this.#room, message);
      else this.#asked(message);
    } catch (error) {
      if (!isIsmioError(error, 'ERR_ISMIO_CONSOLE')) throw error;
      this.#refuse('protocol', error.message);
    }
  }

  #asked(message: Message): void {
    const challenged = this.#challenged;
    if (message.name === 'proof' && challenged !== null) this.#shown(challenged, message.values.proof);
    else if (message.name === 'hello' && challenged === null) this.#hello(message.values);
    else if (message.name === 'list' && challenged === null) this.#list(message.values);
    else throw broken(`'${message.name}' came before anything was agreed on`);
  }

  #hello(hello: Hello): void {
    if (!this.#speaks(hello.version)) return;
    if (hello.reserved !== 0) throw broken(`a reserved byte is ${hello.reserved}`);
    wordOf(roles, hello.role, 'role');
    wordOf(replays, hello.replay, 'replay');
    this.size = sizeOf(hello);
    this.attachment = Buffer.from(hello.attachment);
    this.#challenge({ what: 'attach', hello }, hello.nonce, hello.name);
  }

  /** What there is, is for those who have shown the key. */
  #find(hello: Hello, proof: Buffer): void {
    const { rooms } = this.#house;
    const seen = this.#seen();
    const room = hello.name === '' && seen.length === 1 ? seen[0] : rooms.get(hello.name);
    this.#permission = room === undefined ? 'none' : permissionOf(room.setup.access, this.gid);
    if (room === undefined) {
      const names = seen.map(({ name }) => name).join(', ') || 'none';
      this.#refuse('unknown', `there is no console '${hello.name}' here; there is ${names}`);
    } else if (this.#permission === 'none') {
      this.#refuse('denied', `function 0x${this.gid.toString(16)} may not attach to '${room.name}'`);
    } else {
      this.#attach(hello, room, proof);
    }
  }

  /** The consoles that this function may see. */
  #seen(): Room[] {
    return [...this.#house.rooms.values()].filter(({ setup }) => permissionOf(setup.access, this.gid) !== 'none');
  }

  #list({ version: spoken, nonce }: ValuesOf<FromClient['list']['fields']>): void {
    if (this.#speaks(spoken)) this.#challenge({ what: 'list' }, nonce, '');
  }

  #speaks(spoken: number): boolean {
    if (spoken === version) return true;
    this.#refuse('version', `this server speaks version ${version}, and not ${spoken}`);
    return false;
  }

  #challenge(wish: Wish, clientNonce: Uint8Array, name: string): void {
    const { key, gid } = this.#house;
    if (key === null) {
      this.#grant(wish, Buffer.alloc(nonceBytes));
      return;
    }
    const serverNonce = newNonce();
    const shake = { protocol, clientNonce, serverNonce, clientGid: this.gid, serverGid: gid, name };
    this.#challenged = { wish, wanted: proofOf(key, 'client', shake), proof: proofOf(key, 'server', shake) };
    this.#send('challenge', { version, nonce: serverNonce });
  }

  #shown({ wish, wanted, proof }: Challenged, given: Uint8Array): void {
    if (proves(given, wanted)) this.#grant(wish, proof);
    else this.#refuse('key', 'the key is another one');
  }

  #grant(wish: Wish, proof: Buffer): void {
    clearTimeout(this.#timer);
    if (wish.what === 'attach') this.#find(wish.hello, proof);
    else this.#tellRooms();
  }

  #tellRooms(): void {
    const rooms = this.#seen();
    for (const room of rooms) {
      const { history, size, name, title, viewers, writer, isRunning } = room;
      const kept = { start: BigInt(history.start), end: BigInt(history.end) };
      const state = states.indexOf(isRunning ? 'running' : 'ended');
      this.#send('item', { state, viewers, writer: writer?.gid ?? 0n, ...kept, ...size, name, line: title });
    }
    this.#send('items', { count: rooms.length });
    this.#isOver = true;
    hangUp(this.#stream);
  }

  #attach(hello: Hello, room: Room, proof: Buffer): void {
    const wished = wordOf(roles, hello.role, 'role');
    const { history } = room;
    this.#outbox = new Outbox(this.#stream, history);
    this.#room = room;
    const mayWrite = this.#permission === 'write';
    room.enter(this, wished !== 'view' && mayWrite ? 'write' : 'view');
    if (wished === 'force' && mayWrite) room.promote(this, true, hello.reason);
    const wanted = wished === 'view' || this.role === 'write' ? '' : whyNot(room, mayWrite);
    this.#send('welcome', {
      ...{ version, role: roles.indexOf(this.role), life: room.life },
      ...{ start: BigInt(history.start), end: BigInt(history.end) },
      ...room.size,
      ...{ proof, name: room.name, reason: wanted },
    });
    this.outbox.open();
    this.#replay(room, hello).catch((error: Error) => this.#refuse('protocol', error.message));
    if (room.end !== null) this.outbox.tell('exit', room.end);
  }

  async #replay(room: Room, { replay, life, offset }: Hello): Promise<void> {
    const { history } = room;
    const how = replays[replay];
    if (how === 'screen') {
      const { bytes, position } = await room.screen();
      if (this.#isOver) return;
      this.outbox.tell('screen', { offset: BigInt(position), bytes });
      this.outbox.begin(position);
    } else if (how === 'from') {
      // What another life has said is of no use to this one: it begins at the beginning.
      const from = life === room.life || life === anyLife ? Math.min(positionOf(offset, 'offset'), history.end) : 0;
      this.outbox.begin(from);
    } else {
      const count = how === 'last' ? positionOf(offset, 'offset') : 0;
      this.outbox.begin(Math.max(history.start, history.end - count));
    }
  }

  #told(room: Room, message: Message): void {
    const { name, values } = message;
    if (name === 'keys') room.keys(this, values.bytes);
    else if (name === 'resize') room.resize(this, sizeOf(values));
    else if (name === 'break') room.sendBreak(this);
    else if (name === 'ping') this.outbox.tell('pong', values);
    else if (name === 'ask') this.#asks(room, wordOf(roles, values.role, 'role'), values.reason);
    else throw broken(`'${name}' came from a client that is attached`);
  }

  #asks(room: Room, role: (typeof roles)[number], reason: string): void {
    if (role === 'view') room.demote(this, reason);
    else if (this.#permission === 'write') room.promote(this, role === 'force', reason);
    else this.outbox.tell('role', { role: roles.indexOf('view'), reason: whyNot(room, false) });
  }

  #refuse(code: Refusal, reason: string): void {
    if (this.#isOver) return;
    this.#house.happened('refuse', this.#room?.name ?? null, this.gid, { code, reason });
    this.#shut(code, reason);
    this.#left(reason);
  }

  /** Says why, and ends: a peer that does not read is not waited for. */
  #shut(code: Refusal, reason: string): void {
    if (this.#isOver) return;
    this.#send('refused', { code: refusals.indexOf(code), reason });
    this.#isOver = true;
    clearTimeout(this.#timer);
    hangUp(this.#stream);
  }

  #left(reason: string): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#room?.leave(this, reason);
    this.#room = null;
  }

  #send<Name extends keyof FromServer & string>(name: Name, values: ValuesOf<FromServer[Name]['fields']>): void {
    if (this.#stream.writable) this.#stream.write(encode<FromServer, Name>(fromServer, name, values));
  }
}

function whyNot({ writer }: Room, mayWrite: boolean): string {
  if (!mayWrite) return 'this function may only look on here';
  return writer === null ? 'nobody writes; ask for it' : `function 0x${writer.gid.toString(16)} writes`;
}
