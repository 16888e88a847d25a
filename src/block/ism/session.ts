// One initiator at the target, from its first record to its last: it shows that it has the key where there is one, is let in
// when nothing of its earlier session can reach the medium any more, names its memory, and is served. Whoever breaks the
// protocol is told so, and is shut out. The stream's end is the session's.
import { randomInt } from 'node:crypto';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ism } from '../../ism/driver/ism.js';
import type { IsmStream } from '../../ism/stream/stream.js';
import { hangUp } from '../../ism/talk/farewell.js';
import { newNonce, proofOf, proves } from '../../ism/talk/key.js';
import { decode, encode, type MessageOf, nonceBytes, type ValuesOf } from '../../ism/talk/messages.js';
import { type IsmioError, isIsmioError } from '../../support/errors.js';
import type { BlockDevice } from '../disk.js';
import { errnoOf } from '../errno.js';
import type { Listed } from './directory.js';
import { dataDmbs } from './memory.js';
import { type Permission, permissionOf, type Serving } from './options.js';
import { type BlockCounts, type BlockFailure, Service } from './service.js';
import type { UntoldFlush } from './untold-flush.js';
import {
  broken,
  digest,
  diskFlag,
  diskFlagsOf,
  type FromInitiator,
  type FromTarget,
  fromInitiator,
  fromTarget,
  helloFlag,
  listName,
  packTokens,
  protocol,
  type Refusal,
  refusals,
  unpackTokens,
  version,
} from './wire.js';

/** Milliseconds in which an initiator has to have said what it wants, and again in which it has to have named its memory. */
const helloTime = 5000;

/** The target as a session sees it. */
export interface House {
  readonly ism: Ism;
  readonly disk: BlockDevice;
  readonly life: bigint;
  readonly settings: Serving;
  readonly counts: BlockCounts;
  readonly untold: UntoldFlush;
  /** Ends what this initiator had before, and lets it in, or says why not. */
  admit(session: Session): Promise<{ readonly code: Refusal; readonly reason: string } | null>;
  /** Whether another has written since this initiator last did. */
  othersWrote(session: Session): boolean;
  /** The disks of its function that this one may have. */
  listed(gid: bigint): Listed[];
  /** It is served from now on. */
  began(session: Session): void;
  refused(session: Session, code: Refusal, reason: string): void;
  diskFailed(failure: BlockFailure): void;
  /** Data of a write were not what they were sent as. */
  corrupted(session: Session, error: IsmioError): void;
  /** It has ended; `reason` where it should not have. */
  ended(session: Session, reason: string | null): void;
}

type Hello = ValuesOf<FromInitiator['hello']['fields']>;
type State = 'new' | 'challenged' | 'waiting' | 'welcomed' | 'served' | 'over';

export class Session {
  readonly gid: bigint;
  /** The random number by which an initiator calls itself. */
  initiator = 0n;
  writes = false;
  readonly #house: House;
  readonly #stream: IsmStream;
  #state: State = 'new';
  #service: Service | null = null;
  #epoch = 0;
  #digest: number = digest.none;
  /** It asked for a list of disks, and for none of them. */
  #isForList = false;
  /** The flush of its end: until it is over, nobody knows what it fails with. */
  #lastFlush: Promise<void> = Promise.resolve();
  /** The initiator's proof that is waited for, and this end's. */
  #proofs: { readonly wanted: Buffer; readonly own: Buffer } | null = null;
  #timer: NodeJS.Timeout;
  #isLeaving = false;

  constructor(house: House, stream: IsmStream) {
    this.#house = house;
    this.#stream = stream;
    this.gid = stream.remoteGid;
    this.#timer = setTimeout(() => this.#refuse('idle', 'nothing was asked for in time'), helloTime);
    stream.on('data', (record: Uint8Array) => this.#came(record));
    stream.on('error', (error) => this.#end(error.message));
    stream.on('end', () => {
      this.#end('it ended its stream');
      hangUp(this.#stream);
    });
    stream.on('close', () => this.#end('its stream has ended'));
  }

  get isServed(): boolean {
    return this.#state === 'served';
  }

  get counts(): Service['counts'] {
    return this.#service?.counts ?? { moves: 0, signals: 0, rescued: 0 };
  }

  /** When nothing of it is asked of the disk any more. */
  settled(): Promise<void> {
    return Promise.all([this.#service?.settled(), this.#lastFlush]).then(() => undefined);
  }

  /** Ends it at once: its memory is taken back, and what is in flight is not answered. */
  cut(reason: string): void {
    this.#end(reason);
    this.#stream.destroy();
  }

  /** Asks the initiator to end it, which then waits for the target to be back. */
  leave(reason: string): void {
    if (this.#state !== 'served') {
      this.#refuse('closed', reason);
      return;
    }
    this.#isLeaving = true;
    this.#send('leaving', { reason });
  }

  #came(record: Uint8Array): void {
    if (this.#state === 'over') return;
    try {
      this.#told(decode(fromInitiator, record, broken));
    } catch (error) {
      this.#broke(error as Error);
    }
  }

  #told({ name, values }: MessageOf<FromInitiator>): void {
    if (name === 'hello' && this.#state === 'new') this.#hello(values);
    else if (name === 'list' && this.#state === 'new') this.#asksForList(values);
    else if (name === 'proof' && this.#state === 'challenged') this.#shown(values.proof);
    else if (name === 'memory' && this.#state === 'welcomed') this.#reach(values);
    else if (name === 'bye' && this.#state === 'served') this.#lastFlush = this.#bye();
    else throw broken(`'${name}' came when the session was ${this.#state}`);
  }

  #hello({ version: spoken, flags, digest: asked, reserved, initiator, nonce }: Hello): void {
    if (!this.#speaks(spoken)) return;
    if (reserved !== 0 || (flags & ~helloFlag.readOnly) !== 0) throw broken(`a hello has flags ${flags}`, { flags });
    if (asked !== digest.none && asked !== digest.crc32c)
      throw broken(`a hello asks for digest ${asked}`, { digest: asked });
    this.#digest = asked === digest.crc32c || this.#house.settings.dataDigest ? digest.crc32c : digest.none;
    this.initiator = initiator;
    this.writes = (flags & helloFlag.readOnly) === 0;
    this.#challenge(nonce);
  }

  #asksForList({ version: spoken, nonce }: ValuesOf<FromInitiator['list']['fields']>): void {
    if (!this.#speaks(spoken)) return;
    this.#isForList = true;
    this.#challenge(nonce);
  }

  #speaks(spoken: number): boolean {
    if (spoken !== version) this.#refuse('version', `this target speaks version ${version}, and not ${spoken}`);
    return spoken === version;
  }

  /** Where there is a key, it has to be shown first. */
  #challenge(nonce: Uint8Array): void {
    const { key } = this.#house.settings;
    if (key === null) {
      this.#letIn();
      return;
    }
    const serverNonce = newNonce();
    const shake = { protocol, clientNonce: nonce, serverNonce, clientGid: this.gid, serverGid: this.#house.ism.gid };
    const name = this.#isForList ? listName : '';
    const ofEnd = (end: 'client' | 'server') => proofOf(key, end, { ...shake, name });
    this.#proofs = { wanted: ofEnd('client'), own: ofEnd('server') };
    this.#state = 'challenged';
    this.#send('challenge', { version, nonce: serverNonce });
  }

  #shown(proof: Uint8Array): void {
    if (this.#proofs !== null && proves(proof, this.#proofs.wanted)) this.#letIn();
    else this.#refuse('key', 'the key is another one');
  }

  #letIn(): void {
    if (this.#isForList) this.#list();
    else this.#admit();
  }

  #list(): void {
    const disks = this.#house.listed(this.gid);
    for (const disk of disks) this.#send('disk', disk);
    this.#send('disks', { proof: this.#ownProof, count: disks.length });
    this.#end(null);
    hangUp(this.#stream);
  }

  get #ownProof(): Uint8Array {
    return this.#proofs?.own ?? Buffer.alloc(nonceBytes);
  }

  #admit(): void {
    clearTimeout(this.#timer);
    this.#state = 'waiting';
    const { access, readOnly } = this.#house.settings;
    const permission: Permission = permissionOf(access, this.gid);
    if (permission === 'none') {
      this.#refuse('denied', `function 0x${this.gid.toString(16)} may not have this disk`);
      return;
    }
    if (permission === 'read' || readOnly) this.writes = false;
    this.#house.admit(this).then(
      (refusal) => {
        if (this.#state !== 'waiting') return;
        if (refusal === null) this.#welcome();
        else this.#refuse(refusal.code, refusal.reason);
      },
      (error: Error) => this.#broke(error),
    );
  }

  #welcome(): void {
    const { ism, disk, life, settings, counts, untold } = this.#house;
    const { slots, ioBytes } = settings;
    this.#epoch = randomInt(1, 2 ** 32);
    const common = { ism, gid: this.gid, epoch: this.#epoch, slots, ioBytes };
    try {
      this.#service = new Service({
        ...common,
        ...{ disk, mayWrite: this.writes, counts, untold, hasDigest: this.#digest === digest.crc32c },
        corrupted: (error) => this.#house.corrupted(this, error),
        diskFailed: (failure) => this.#house.diskFailed(failure),
        failed: (error) => this.#broke(error),
      });
    } catch (error) {
      this.#refuse('full', `this target has no memory for one more: ${(error as Error).message}`);
      return;
    }
    this.#state = 'welcomed';
    this.#timer = setTimeout(() => this.#refuse('idle', 'no memory was named in time'), helloTime);
    const { minimum, preferred, maximum } = disk.blockSize;
    const { heads, data } = this.#service.tokens;
    const others = this.#house.othersWrote(this) ? diskFlag.othersWrote : 0;
    this.#send('welcome', {
      ...{
        version,
        flags: diskFlagsOf(disk, this.writes) | others,
        digest: this.#digest,
        slots,
        epoch: this.#epoch,
        ioBytes,
      },
      ...{ minimum, preferred, maximum, size: BigInt(disk.size), life, name: disk.name },
      ...{ proof: this.#ownProof, heads, data: packTokens(data) },
    });
  }

  #reach({ heads, data }: ValuesOf<FromInitiator['memory']['fields']>): void {
    clearTimeout(this.#timer);
    const { slots, ioBytes } = this.#house.settings;
    (this.#service as Service).reach(unpackTokens(heads, data, dataDmbs({ slots, ioBytes })));
    this.#state = 'served';
    this.#send('ready', {});
    this.#house.began(this);
  }

  /** What was answered is flushed, so that nothing is lost whatever comes after. */
  async #bye(): Promise<void> {
    const service = this.#service as Service;
    service.leave();
    await service.settled();
    const isFlushed = !this.writes || (await this.#flush());
    if (this.#state === 'over') return;
    this.#send('bye', { flushed: Number(isFlushed) });
    this.#end(null);
    hangUp(this.#stream);
  }

  async #flush(): Promise<boolean> {
    const { disk, untold, diskFailed } = this.#house;
    try {
      await untold.flush(disk);
      return true;
    } catch (error) {
      const [errno, message] = [errnoOf(error), error instanceof Error ? error.message : String(error)];
      diskFailed({ command: 'flush', offset: 0, length: 0, errno, message });
      // One that waits for the next target is told, and its next flush fails. One that goes has no next.
      if (!this.#isLeaving || this.#state === 'over') untold.failed(errno);
      return false;
    }
  }

  #broke(error: Error): void {
    const isBreach = isIsmioError(error, 'ERR_ISMIO_BLOCK');
    if (isBreach) this.#refuse('protocol', error.message);
    else this.cut(error.message);
  }

  #refuse(code: Refusal, reason: string): void {
    if (this.#state === 'over') return;
    this.#send('refused', { code: refusals.indexOf(code), reason });
    this.#house.refused(this, code, reason);
    this.#end(reason);
    hangUp(this.#stream);
  }

  #end(reason: string | null): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    clearTimeout(this.#timer);
    this.#service?.close();
    this.#house.ended(this, this.#isLeaving ? null : reason);
  }

  #send<Name extends keyof FromTarget & string>(name: Name, values: ValuesOf<FromTarget[Name]['fields']>): void {
    if (this.#stream.writable) this.#stream.write(encode<FromTarget, Name>(fromTarget, name, values));
  }
}
