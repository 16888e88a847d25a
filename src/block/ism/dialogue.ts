// What an initiator says on the stream of a session, and hears: who it is, that it has the key, where its memory is, and that it
// leaves. The stream's end is the session's.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ism } from '../../ism/driver/ism.js';
import type { IsmStream } from '../../ism/stream/stream.js';
import { hangUp } from '../../ism/talk/farewell.js';
import { newNonce, proofOf, proves } from '../../ism/talk/key.js';
import { decode, encode, type MessageOf, type ValuesOf } from '../../ism/talk/messages.js';
import { IsmioError } from '../../support/errors.js';
import type { Listed } from './directory.js';
import type { Opening } from './options.js';
import {
  broken,
  digest,
  diskFlag,
  type FromInitiator,
  type FromTarget,
  fromInitiator,
  fromTarget,
  helloFlag,
  limits,
  listName,
  longestRecord,
  protocol,
  refusals,
  version,
} from './wire.js';

export type Welcome = ValuesOf<FromTarget['welcome']['fields']>;
type Told = MessageOf<FromTarget>;

/** Milliseconds in which a target has to answer: it may wait for what an earlier session has asked of the medium. */
const answerTime = 10_000;

export interface DialogueSetup {
  readonly ism: Ism;
  readonly gid: bigint;
  readonly initiator: bigint;
  readonly settings: Pick<Opening, 'port' | 'readOnly' | 'key' | 'dataDigest' | 'stream'>;
  readonly signal?: AbortSignal;
}

/** Who is told of what comes once the session is on. */
export interface Listener {
  /** The target will be back: nothing more is to be asked of it. */
  leaving(reason: string): void;
  /** The session has ended. `flushed`: the target has said whether all it has answered is on the medium; null where it did not say. */
  over(error: Error, flushed: boolean | null): void;
}

export class Dialogue {
  readonly #setup: DialogueSetup;
  readonly #stream: IsmStream;
  #listener: Listener | null = null;
  /** What came of a list that was asked for. */
  #listed: Listed[] | null = null;
  #waiting: { readonly told: (message: Told) => void; readonly failed: (error: Error) => void } | null = null;
  #error: Error | null = null;
  #isFlushed: boolean | null = null;
  #hasLeft = false;
  #isOver = false;

  static async open(setup: DialogueSetup): Promise<Dialogue> {
    const { ism, gid, settings, signal } = setup;
    const abort = signal === undefined ? {} : { signal };
    const options = { mode: 'messages', recordLimit: longestRecord, ...settings.stream, ...abort } as const;
    return new Dialogue(setup, await ism.connect(gid, settings.port, options));
  }

  private constructor(setup: DialogueSetup, stream: IsmStream) {
    this.#setup = setup;
    this.#stream = stream;
    stream.on('data', (record: Uint8Array) => this.#came(record));
    stream.on('error', (error) => {
      this.#error ??= error;
    });
    stream.on('end', () => stream.end());
    stream.on('close', () => this.#over());
  }

  /** @throws IsmioError ERR_ISMIO_BLOCK where it is refused */
  async greet(): Promise<Welcome> {
    const { settings, initiator } = this.#setup;
    const nonce = newNonce();
    const flags = settings.readOnly ? helloFlag.readOnly : 0;
    const first = this.#next();
    const asked = settings.dataDigest ? digest.crc32c : digest.none;
    this.#send('hello', { version, flags, digest: asked, reserved: 0, initiator, nonce });
    const { answer, proof } = await this.#answered(await first, nonce, '');
    if (answer.name !== 'welcome') throw broken(`'${answer.name}' came, and not 'welcome'`);
    if (proof !== null && !proves(answer.values.proof, proof)) throw otherKey('its answer does not show it');
    return checked(answer.values, asked);
  }

  /** The disks of the function that this one may have; the target ends the stream behind them. @throws as `greet` */
  async list(): Promise<readonly Listed[]> {
    const nonce = newNonce();
    const found: Listed[] = [];
    this.#listed = found;
    const first = this.#next();
    this.#send('list', { version, nonce });
    const { answer, proof } = await this.#answered(await first, nonce, listName);
    if (answer.name !== 'disks') throw broken(`'${answer.name}' came, and not 'disks'`);
    const { count } = answer.values;
    if (proof !== null && !proves(answer.values.proof, proof)) throw otherKey('its answer does not show it');
    if (count !== found.length) throw broken(`${found.length} disks came, and not ${count}`, { count });
    return found;
  }

  /** Says where this end's memory is; the session is on when it returns. */
  async begin(heads: bigint, data: Uint8Array, listener: Listener): Promise<void> {
    const answer = this.#next();
    this.#listener = listener; // what follows the answer may come in this very turn
    this.#send('memory', { heads, data });
    const { name } = agreed(await answer);
    if (name !== 'ready') throw broken(`'${name}' came, and not 'ready'`);
    if (this.#isOver) throw this.#gone();
  }

  /** Leaves: the target flushes what it has answered, and ends the session. */
  leave(reason: string): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#send('bye', { reason });
  }

  /** Ends it, whatever is on its way. */
  destroy(): void {
    this.#stream.destroy();
  }

  #came(record: Uint8Array): void {
    try {
      this.#told(decode(fromTarget, record, broken));
    } catch (error) {
      this.#error ??= error as Error;
      this.#stream.destroy();
    }
  }

  #told(message: Told): void {
    if (message.name === 'disk' && this.#listed !== null) {
      this.#take(message.values, this.#listed);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) waiting.told(message);
    else if (message.name === 'leaving' && this.#listener !== null) this.#listener.leaving(message.values.reason);
    else if (message.name === 'bye' && this.#listener !== null) this.#bye(message.values.flushed);
    else agreed(message, true);
  }

  /** Ports go up, so that there is an end of them. */
  #take(disk: Listed, listed: Listed[]): void {
    const { port } = disk;
    const before = listed.at(-1)?.port ?? -1;
    if (port <= before) throw broken(`a disk at port ${port} came behind one at ${before}`, { port });
    const isOfNoSession = (disk.flags & diskFlag.othersWrote) === 0;
    checkRules(`the disk at port ${port}`, { flags: isOfNoSession, ...diskRules(disk) });
    listed.push(disk);
  }

  #bye(flushed: number): void {
    if (flushed > 1) throw broken(`flushed is ${flushed}`);
    this.#isFlushed = flushed === 1;
    hangUp(this.#stream);
  }

  async #answered(first: Told, clientNonce: Uint8Array, name: string): Promise<{ answer: Told; proof: Buffer | null }> {
    const { ism, gid, settings } = this.#setup;
    const { key } = settings;
    if (key === null && first.name === 'challenge') throw otherKey('it asks for one; say it by key');
    if (key === null || first.name === 'refused') return { answer: agreed(first), proof: null };
    if (first.name !== 'challenge') throw otherKey('it does not ask for one, so that anybody may be there');
    const shake = {
      protocol,
      clientNonce,
      serverNonce: first.values.nonce,
      clientGid: ism.gid,
      serverGid: gid,
      name,
    };
    const answer = this.#next();
    this.#send('proof', { proof: proofOf(key, 'client', shake) });
    return { answer: agreed(await answer), proof: proofOf(key, 'server', shake) };
  }

  #next(): Promise<Told> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) {
        reject(this.#gone());
        return;
      }
      const silent = setTimeout(() => {
        this.#error ??= new IsmioError('ERR_ISMIO_ISM_PEER_DIED', `the target did not answer for ${answerTime} ms`);
        this.#stream.destroy();
      }, answerTime);
      const settle = <Value>(act: (value: Value) => void) => {
        return (value: Value) => {
          clearTimeout(silent);
          act(value);
        };
      };
      this.#waiting = { told: settle(resolve), failed: settle(reject) };
    });
  }

  #over(): void {
    this.#isOver = true;
    this.#waiting?.failed(this.#gone());
    this.#waiting = null;
    this.#listener?.over(this.#gone(), this.#isFlushed);
  }

  #gone(): Error {
    return this.#error ?? new IsmioError('ERR_ISMIO_ISM_PEER_DIED', 'the target has ended the session');
  }

  #send<Name extends keyof FromInitiator & string>(name: Name, values: ValuesOf<FromInitiator[Name]['fields']>): void {
    if (this.#stream.writable) this.#stream.write(encode<FromInitiator, Name>(fromInitiator, name, values));
  }
}

function otherKey(why: string): IsmioError {
  const text = `the target and this end do not have the same key: ${why}`;
  return new IsmioError('ERR_ISMIO_BLOCK', text, { reason: 'key' });
}

/** @throws IsmioError ERR_ISMIO_BLOCK where the target refuses, or says what nobody waits for */
function agreed(answer: Told, isUnasked = false): Told {
  if (answer.name === 'refused') {
    const { code, reason } = answer.values;
    throw new IsmioError('ERR_ISMIO_BLOCK', `the target refuses: ${reason}`, { reason: refusals[code] ?? code });
  }
  if (isUnasked) throw broken(`'${answer.name}' came, which nobody waits for`);
  return answer;
}

/** What a target says of itself is hostile as well. */
function checked(welcome: Welcome, asked: number): Welcome {
  const { version: spoken, slots, epoch, ioBytes } = welcome;
  checkRules('its welcome', {
    version: spoken === version,
    slots: slots >= limits.slots.least && slots <= limits.slots.most,
    digest: welcome.digest === digest.crc32c || welcome.digest === asked,
    epoch: epoch !== 0,
    ioBytes: ioBytes >= limits.ioBytes.least && ioBytes <= limits.ioBytes.most && Number.isInteger(Math.log2(ioBytes)),
    ...diskRules(welcome),
  });
  return welcome;
}

type OfDisk = Pick<Welcome, 'minimum' | 'preferred' | 'maximum' | 'size'>;

function diskRules({ minimum, preferred, maximum, size }: OfDisk): Readonly<Record<string, boolean>> {
  return {
    'block sizes': minimum > 0 && minimum <= preferred && preferred <= maximum,
    size: size <= BigInt(Number.MAX_SAFE_INTEGER),
  };
}

/** @throws IsmioError ERR_ISMIO_BLOCK that names the first rule that does not hold */
function checkRules(what: string, rules: Readonly<Record<string, boolean>>): void {
  const wrong = Object.entries(rules).find(([, holds]) => !holds)?.[0];
  if (wrong !== undefined) throw broken(`${what} cannot be: ${wrong}`);
}
