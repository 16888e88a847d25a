// One run of a function in a worker: what may cross is checked before anything starts, and what comes back is told in full.
import type { MessagePort } from 'node:worker_threads';
import { checkRegion, idOf } from '../region/region.js';
import { checkSignal, onAbort } from '../support/abort.js';
import { workerThreads } from '../support/builtins.js';
import { checkOptions } from '../support/check.js';
import { IsmioError, shown, typeError } from '../support/errors.js';
import { type Crew, calledOff, type Errand } from './crew.js';
import { hasOfThread, unpacked } from './crossing.js';
import type { RunOptions } from './options.js';
import type { Code, RunOutcome, RunTask } from './tasks.js';

type StopCode = 'ERR_ISMIO_ABORTED' | 'ERR_ISMIO_CLOSED';

export class Run {
  readonly #name: string;
  readonly #code: Code;
  readonly #endWaiting: (() => void) | undefined;
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #channel = new (workerThreads().MessageChannel)();
  readonly #errand: Errand<null>;
  #stopped: { readonly code: StopCode; readonly cause: unknown } | null = null;

  /** @throws TypeError ERR_ISMIO_ARGUMENT_TYPE; nothing has been started then */
  constructor(crew: Crew, what: unknown, options: RunOptions) {
    checkOptions(options, ['regions', 'args', 'signal'], 'pool.run');
    const signal = checkSignal(options.signal, 'pool.run');
    this.#code = codeOf(what);
    this.#name = nameOf(what);
    const regions = regionsIn(options.regions === undefined ? [] : options.regions);
    const { port1, port2 } = this.#channel;
    send(port1, options.args === undefined ? [] : options.args);
    this.#endWaiting = signal && onAbort(signal, () => this.stop('ERR_ISMIO_ABORTED', signal.reason));
    const task: RunTask = { kind: 'run', code: this.#code, regions, control: this.#control, claim: 1, port: port2 };
    this.#errand = crew.send(task, [port2]);
  }

  /** What it is called where a message lists what still runs. */
  get name(): string {
    return this.#name;
  }

  /** Settles when no thread has it any more. */
  get ended(): Promise<unknown> {
    return this.#errand.ended.catch(() => undefined);
  }

  /** Asks the function to return; a function that no thread has begun is not begun any more. The first reason stands. */
  stop(code: StopCode, cause: unknown): void {
    this.#stopped ??= { code, cause };
    Atomics.store(this.#control, 0, 1);
    this.#errand?.callOff(); // a signal that was aborted before stops the run before it is sent
  }

  async result(): Promise<unknown> {
    try {
      if ((await this.#errand.ended) === calledOff) throw this.#neverBegun();
      return this.#told();
    } catch (error) {
      throw this.#closedFor(error);
    } finally {
      this.#endWaiting?.();
      this.#channel.port1.close();
    }
  }

  #neverBegun(): IsmioError {
    const { code, cause } = this.#stopped as { code: StopCode; cause: unknown };
    const who = code === 'ERR_ISMIO_ABORTED' ? 'it was aborted' : 'the pool closed';
    return new IsmioError(code, `${this.#name} was not begun: ${who} before a worker was free`, {}, cause);
  }

  /** A worker that ended because the pool has ended its threads did not die of itself. */
  #closedFor(error: unknown): unknown {
    if (this.#stopped?.code !== 'ERR_ISMIO_CLOSED' || (error as IsmioError).code !== 'ERR_ISMIO_WORKER_DIED')
      return error;
    const text = `${this.#name} was cut off: the pool was closed by force, and it had not returned`;
    return new IsmioError('ERR_ISMIO_CLOSED', text, {}, error);
  }

  #told(): unknown {
    const received = workerThreads().receiveMessageOnPort(this.#channel.port1) as { message: RunOutcome } | undefined;
    if (received === undefined) throw new IsmioError('ERR_ISMIO_WORKER', `${this.#name} ended without a result`);
    const { how, crossing } = received.message;
    const value = unpacked(crossing);
    if (how === 'returned') return value;
    const said = value instanceof Error ? value.message : shown(value);
    const text =
      how === 'threw'
        ? `the code run in a worker threw: ${said}${'text' in this.#code ? adviceOn(value) : ''}`
        : `the result of the code run in a worker cannot cross to this thread: ${said}`;
    throw new IsmioError('ERR_ISMIO_WORKER', text, {}, value);
  }
}

/** A name that is nowhere in the program is one that a tool has written into the function. */
function adviceOn(thrown: unknown): string {
  if (!(thrown instanceof ReferenceError)) return '';
  return (
    '. The function crossed as its text and sees nothing of what is around it: no import, no variable of its module, and ' +
    'none of the helpers that tools write into functions (__name by tsx and esbuild, cov_.. by coverage tools). Hand it ' +
    'what it needs in args, or give the URL of a module instead'
  );
}

function codeOf(what: unknown): Code {
  if (what instanceof URL) return { url: what.href };
  if (typeof what !== 'function') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `run takes a function or the URL of a module, not ${shown(what)}`);
  }
  const text = what.toString();
  try {
    new Function(`return (${text})`);
  } catch (cause) {
    const why =
      cause instanceof EvalError
        ? 'this Node.js compiles no text (--disallow-code-generation-from-strings); give the URL of a module'
        : 'write it as an arrow function or a function expression, or give the URL of a module';
    const refusal = typeError('ERR_ISMIO_ARGUMENT_TYPE', `the function cannot cross to a worker as text; ${why}`);
    throw Object.assign(refusal, { cause });
  }
  return { text };
}

function nameOf(what: unknown): string {
  if (what instanceof URL) return what.href;
  const { name } = what as { name: unknown };
  return typeof name === 'string' && name !== '' ? `the function ${name}` : 'a function without a name';
}

function regionsIn(regions: unknown): number[] {
  if (!Array.isArray(regions)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `regions must be an array of Regions, not ${shown(regions)}`, {
      regions,
    });
  }
  return Array.from(regions, (region, i) => idOf(checkRegion(region, `regions[${i}]`)));
}

/** Copies the arguments, as they are now, to where the worker will find them. */
function send(port: MessagePort, args: unknown): void {
  if (!Array.isArray(args)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `args must be an array, not ${shown(args)}`, { args });
  }
  const ofThread = args.findIndex(hasOfThread);
  if (ofThread >= 0) throw refusedArgument(ofThread, 'a Region or Queue; hand Regions over in regions');
  try {
    port.postMessage(args);
  } catch (cause) {
    throw Object.assign(refusedArgument(args.findIndex(isUncloneable), (cause as Error).message), { cause });
  }
}

function refusedArgument(index: number, why: string): Error {
  const text = `args[${index}] cannot cross to a worker, which takes what structuredClone takes: ${why}`;
  return typeError('ERR_ISMIO_ARGUMENT_TYPE', text, { argument: index });
}

function isUncloneable(value: unknown): boolean {
  try {
    structuredClone(value);
    return false;
  } catch {
    return true;
  }
}
