// The end that asks for a stream.
import { randomInt } from 'node:crypto';
import { checkSignal, onAbort } from '../../support/abort.js';
import { hex, IsmioError, rangeError } from '../../support/errors.js';
import type { StreamDmb, StreamDriver } from './driver.js';
import { type Hello, writeHello } from './hello.js';
import { eventCode, ringOffset } from './layout.js';
import { Opening } from './opening.js';
import { checkPort, checkStreamOptions, type StreamOptions, type StreamSettings } from './options.js';
import { dead, inWords, reasonOf, saidInWords } from './reasons.js';
import { Session } from './session.js';
import { Station } from './station.js';
import { IsmStream } from './stream.js';

/** What `connect` takes. */
export interface ConnectOptions extends StreamOptions {
  /** Gives the attempt up. It has no effect on a stream that is open. */
  signal?: AbortSignal;
}

/**
 * A stream to whoever listens at a port of the function `gid`.
 * @throws IsmioError ERR_ISMIO_ISM_REFUSED, ERR_ISMIO_ISM_PEER_DIED, ERR_ISMIO_ABORTED; what `registerDmb` throws
 */
export async function connect(
  driver: StreamDriver,
  gid: bigint,
  port: number,
  options: ConnectOptions = {},
): Promise<IsmStream> {
  checkPort(port);
  checkAble(driver);
  const { signal: given, ...settings } = checkStreamOptions(options, { signal: undefined as unknown }, 'ism.connect');
  const signal = checkSignal(given, 'ism.connect');
  if (signal?.aborted === true) throw stopped(signal);
  const station = Station.of(driver);
  const dmb = driver.registerDmb({ length: ringOffset + settings.ring, peer: gid });
  return new Promise((resolve, reject) => new Attempt({ station, dmb, gid, port, settings, signal, resolve, reject }));
}

interface AttemptSetup {
  readonly station: Station;
  readonly dmb: StreamDmb;
  readonly gid: bigint;
  readonly port: number;
  readonly settings: StreamSettings;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (stream: IsmStream) => void;
  readonly reject: (error: Error) => void;
}

class Attempt {
  readonly #setup: AttemptSetup;
  readonly #opening: Opening;
  readonly #stopWaiting: () => void;

  constructor(setup: AttemptSetup) {
    this.#setup = setup;
    const { station, dmb, gid, port, settings, signal } = setup;
    const expected = { port, mode: settings.mode, answers: 0 };
    this.#opening = new Opening(gid, dmb, expected, this.#opener(), station.now(), settings.timeout);
    station.begin(this.#opening);
    this.#stopWaiting = signal === undefined ? () => undefined : onAbort(signal, () => this.#abort(signal));
    station.ask(gid, this.#ask);
  }

  #opener(): ConstructorParameters<typeof Opening>[3] {
    const { gid, port, settings } = this.#setup;
    const where = `port ${port} of function ${hex(gid)}`;
    const refused = (text: string, reason: string) =>
      this.#fail(new IsmioError('ERR_ISMIO_ISM_REFUSED', text, { gid, port, reason }));
    return {
      hello: (hello) => this.#open(hello),
      refused: ({ reason }) => refused(`${where} refused the stream ${saidInWords(reason)}`, reasonOf(reason)),
      wrong: ({ wrong, token }) => {
        this.#setup.station.counters.wrong++;
        this.#setup.station.refuse(token, port, wrong);
        refused(`what ${where} says of the stream does not fit ${inWords(wrong)}`, wrong);
      },
      expired: () =>
        refused(`${where} did not answer for ${settings.timeout} ms: does it run this package?`, 'timeout'),
      died: (error) => this.#fail(error),
      repeat: () => this.#setup.station.ask(gid, this.#ask),
    };
  }

  readonly #ask = (): void => {
    if (this.#opening.ended) return;
    const { station, dmb, gid, port } = this.#setup;
    try {
      station.driver.signal(gid, { code: eventCode(port), info: dmb.token });
    } catch (thrown) {
      this.#opening.end();
      this.#fail(thrown as Error);
    }
  };

  #open(peer: Hello): Session | null {
    const { station, dmb, gid, port, settings } = this.#setup;
    const where = `port ${port} of function ${hex(gid)}`;
    const forget = station.claim(peer.token);
    if (forget === null) {
      station.counters.wrong++;
      const text = `${where} named memory that another stream of this function moves into`;
      this.#fail(new IsmioError('ERR_ISMIO_ISM_REFUSED', text, { gid, port, reason: 'token' }));
      return null;
    }
    const own = helloOf(settings, port, dmb, peer.epoch);
    const failure = station.moveHello(peer.token, writeHello(own));
    if (failure !== null) {
      forget();
      this.#fail(dead(`function ${hex(gid)} has gone before the stream was open`, failure));
      return null;
    }
    this.#end();
    const session = new Session({ driver: station.driver, clock: station, dmb, gid, own, peer, closed: forget });
    station.begin(session);
    this.#setup.resolve(new IsmStream({ session, settings, port, peer }));
    return session;
  }

  #abort(signal: AbortSignal): void {
    if (this.#opening.ended) return;
    this.#opening.end();
    this.#fail(stopped(signal));
  }

  #fail(error: Error): void {
    this.#end();
    try {
      this.#setup.dmb.unregister();
    } catch (thrown) {
      error.cause ??= thrown;
    }
    this.#setup.reject(error);
  }

  #end(): void {
    const { station, gid } = this.#setup;
    station.ended(this.#opening);
    station.answered(gid, this.#ask);
    this.#stopWaiting?.();
  }
}

/** @throws RangeError ERR_ISMIO_RULE where the function takes blocks of certain lengths alone */
export function checkAble({ gid, strict }: StreamDriver): void {
  if (strict !== true) return;
  const text = `function ${hex(gid)} takes blocks of multiples of 8 bytes alone: a stream of bytes cannot be made of them`;
  throw rangeError('ERR_ISMIO_RULE', text, { gid });
}

/** What this end says of itself. */
export function helloOf(settings: StreamSettings, port: number, { token }: StreamDmb, answers: number): Hello {
  const { mode, ring, heartbeat, recordLimit } = settings;
  const epoch = randomInt(1, 2 ** 32);
  return { port, mode, epoch, answers, token, ring, heartbeat, recordLimit: mode === 'bytes' ? 0 : recordLimit };
}

function stopped(signal: AbortSignal): Error {
  return new IsmioError('ERR_ISMIO_ABORTED', 'ism.connect was stopped by its signal', {}, signal.reason);
}
