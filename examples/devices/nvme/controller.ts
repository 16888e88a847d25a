// The controller: enabled, shut down and reset by its registers.
import { AdminCommands } from './admin.js';
import { DoorbellBuffers } from './doorbells.js';
import { Engine } from './engine.js';
import { Features } from './features.js';
import type { Host } from './host.js';
import type { Identity } from './identify.js';
import { BlockCommands } from './io.js';
import { Logs } from './logs.js';
import type { Medium } from './medium.js';
import { Registers } from './registers.js';
import { configuration, feature, outcome, register, status } from './specification.js';

/** The longest wait that timers of Node.js take, in milliseconds: some 24 days. */
const longest = 2 ** 31 - 1;

/** 'starting' and 'stopping' last until commands from before have ended: nothing of theirs comes later. 'failed' until a reset. */
type State = 'off' | 'starting' | 'on' | 'stopping' | 'failed';

export interface ControllerOptions {
  readonly host: Host;
  readonly medium: Medium;
  readonly identity: Identity;
  /** Pairs of I/O queues. */
  readonly queues: number;
}

export class Controller {
  readonly #medium: Medium;
  readonly #registers: Registers;
  readonly #engine: Engine;
  readonly #features: Features;
  readonly #logs = new Logs();
  #state: State = 'off';
  #keepAlive: NodeJS.Timeout | null = null;
  #closed = false;

  constructor({ host, medium, identity, queues }: ControllerOptions) {
    this.#medium = medium;
    this.#registers = new Registers((now, before) => this.#configured(now, before));
    this.#features = new Features(queues, (number) => {
      if (number === feature.keepAlive) this.#heard();
    });
    const doorbells = new DoorbellBuffers(host, queues);
    const io = new BlockCommands(medium, identity.blockBytes, this.#logs, () => this.#features.writeCache);
    this.#engine = new Engine({
      host,
      queues,
      logs: this.#logs,
      doorbells,
      ready: () => medium.ready,
      execute: (command) => (command.queue.id === 0 ? admin : io).execute(command),
      idle: () => this.#settle(),
      failed: () => this.#fail(),
    });
    const admin = new AdminCommands({
      identity,
      queues: this.#engine.queues,
      features: this.#features,
      logs: this.#logs,
      doorbells,
      entrySizesSet: () => this.#registers.entrySizesSet,
      keptAlive: () => this.#heard(),
      tell: (command, what) => this.#engine.tell(command, what),
    });
  }

  load(offset: number, width: 1 | 2 | 4 | 8): number | bigint {
    return this.#registers.load(offset, width);
  }

  store(offset: number, value: number | bigint, width: 1 | 2 | 4 | 8): void {
    if (this.#closed) return;
    if (offset < register.doorbells) this.#registers.store(offset, value, width);
    else if (width === 4) this.#engine.rung((offset - register.doorbells) / 4, Number(value));
  }

  /** The function is reset: everything is as at its start. */
  reset(): void {
    this.#drop();
    this.#registers.reset();
    this.#state = 'off';
  }

  /** The driver has gone. */
  gone(): void {
    if (this.#registers.ready && (this.#registers.status & status.shutdown) !== status.shutDown) {
      this.#logs.unsafeShutdowns++;
    }
    this.reset();
  }

  /** The medium is closed when what it does has ended. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.reset();
    this.#settle();
  }

  #configured(now: number, before: number): void {
    const changed = now ^ before;
    if ((changed & configuration.enable) !== 0) {
      if ((now & configuration.enable) !== 0) this.#enable(now);
      else this.#disable();
    }
    if ((now & configuration.shutdown) !== 0 && (changed & configuration.shutdown) !== 0) this.#shutDown();
  }

  #enable(now: number): void {
    const { submissionEntries, completionEntries } = this.#registers.adminQueues;
    this.#registers.setStatus(status.shutdown | status.ready, 0);
    if ((now & configuration.fixed) !== 0 || submissionEntries < 2 || completionEntries < 2) {
      this.#fail();
      return;
    }
    this.#state = 'starting';
    this.#settle();
  }

  #disable(): void {
    this.#drop();
    this.#registers.setStatus(status.fatal | status.shutdown, 0);
    this.#state = 'stopping';
    this.#settle();
  }

  #shutDown(): void {
    this.#registers.setStatus(status.shutdown, status.shuttingDown);
    const end = this.#engine.begin();
    const done = () => {
      const asked = (this.#registers.configuration & configuration.shutdown) !== 0;
      if (asked) this.#registers.setStatus(status.shutdown, status.shutDown);
      end();
    };
    if (this.#medium.readOnly) done();
    else this.#medium.flush(done);
  }

  #drop(): void {
    this.#engine.stop();
    this.#features.reset();
    if (this.#keepAlive !== null) clearTimeout(this.#keepAlive);
    this.#keepAlive = null;
  }

  /** Goes on where that waited for commands to end. */
  #settle(): void {
    if (this.#engine.inProgress > 0) return;
    if (this.#closed) this.#medium.close();
    else if (this.#state === 'stopping') {
      this.#state = 'off';
      this.#registers.setStatus(status.ready, 0);
    } else if (this.#state === 'starting') {
      this.#engine.start(this.#registers.adminQueues);
      this.#state = 'on';
      this.#registers.setStatus(status.ready, status.ready);
    }
  }

  /** Nothing can be done any more until the host resets the controller. */
  #fail(): void {
    this.#drop();
    this.#state = 'failed';
    this.#registers.setStatus(status.fatal, status.fatal);
  }

  /** The host lives: it has to say so again within the time that it set (5.21.1.15). */
  #heard(): void {
    if (this.#keepAlive !== null) clearTimeout(this.#keepAlive);
    this.#keepAlive = null;
    const timeout = Math.min(this.#features.keepAliveTimeout, longest);
    if (timeout === 0) return;
    this.#keepAlive = setTimeout(() => {
      this.#logs.note(null, 0xffff, outcome.keepAliveExpired);
      this.#fail();
    }, timeout).unref();
  }
}
