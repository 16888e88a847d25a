// A target on a recording medium and an initiator with writers, in this process: sessions are cut, targets restarted, and the power of
// one machine or both is lost, at random moments. The history tells whether the disk was one all the time.
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type BlockDevice, type BlockTarget, type IsmDisk, type LossMode, openBlock, serveBlock } from 'ismio/block';
import { type Ism, openIsm } from 'ismio/ism';
import { type Asking, Writers } from './block-writers.js';
import { until } from './console-line.js';
import { History } from './history.js';
import { type Pair, pairOn } from './ism.js';
import { type MediumFault, RecordingMedium } from './recording-medium.js';
import { sectorBytes } from './stamps.js';

/** What befalls it. */
export const events = [
  'the session is cut',
  'the target restarts',
  'the target loses power',
  'all lose power',
  'a flush fails',
] as const;
export type WorldEvent = (typeof events)[number];

export interface WorldOptions {
  readonly draw: (limit: number) => number;
  readonly mode: LossMode;
  readonly fault?: MediumFault;
}

const sectors = 24;
const timeout = 60_000;

export class World {
  readonly history = new History();
  readonly writers: Writers;
  readonly #options: WorldOptions;
  readonly #pair: Pair;
  #medium: RecordingMedium;
  #target: BlockTarget;
  #disk: IsmDisk;
  readonly #drivers: Ism[] = [];

  static async open(options: WorldOptions): Promise<World> {
    const pair = await pairOn('device.open()');
    pair.b.close();
    const medium = mediumOf(Buffer.alloc(sectors * sectorBytes), options);
    const target = await serveBlock(pair.a, medium, { grace: 1000 });
    const drivers: Ism[] = [];
    return new World(options, pair, medium, target, drivers, await openDisk(pair, drivers, options));
  }

  private constructor(
    options: WorldOptions,
    pair: Pair,
    medium: RecordingMedium,
    target: BlockTarget,
    drivers: Ism[],
    disk: IsmDisk,
  ) {
    this.#options = options;
    this.#pair = pair;
    this.#medium = medium;
    this.#target = target;
    this.#drivers = drivers;
    this.#disk = disk;
    this.writers = new Writers({ history: this.history, draw: options.draw, sectors, longest: 12, client: 'w' });
    this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.close();
    await this.#target.close();
    await this.#pair[Symbol.asyncDispose]();
  }

  /** Requests until this has befallen it, and some more; then all of it is read. */
  async round(event: WorldEvent): Promise<void> {
    const running = this.writers.run(
      asking(() => this.#disk),
      6,
    );
    await this.#some(60);
    await this.#befall(event);
    await this.#some(40);
    this.writers.stop();
    await running;
    if (this.#options.draw(2) === 0) await this.writers.flush(asking(() => this.#disk));
    await this.writers.readAll(asking(() => this.#disk));
  }

  async #some(most: number): Promise<void> {
    for (let turns = this.#options.draw(most); turns > 0; turns--) await setImmediate();
  }

  async #befall(event: WorldEvent): Promise<void> {
    if (event === 'the session is cut') {
      const { sessions } = this.#disk.stats();
      (this.#drivers.at(-1) as Ism).close();
      await until(() => this.#disk.stats().sessions > sessions, 'another session');
    } else if (event === 'the target restarts') {
      const { sessions } = this.#disk.stats();
      await this.#target.close();
      this.#target = await serveBlock(this.#ism(), this.#medium, { grace: 1000 });
      await until(() => this.#disk.stats().sessions > sessions, 'another session');
    } else if (event === 'a flush fails') {
      this.#medium.failures.push('EIO');
      await this.#befall(this.#options.draw(2) === 0 ? 'the session is cut' : 'the target restarts');
    } else if (event === 'the target loses power') await this.#loseTarget();
    else await this.#loseAll();
  }

  /** The initiator does not see it: it finds another target, which has what is left. */
  async #loseTarget(): Promise<void> {
    const { sessions } = this.#disk.stats();
    this.#ism().close();
    const left = this.#medium.losePower(this.#options.draw);
    // What was answered before is heard before the loss is; from then on nothing was done.
    await until(() => this.#disk.state !== 'open', 'a lost target');
    this.history.lostPower();
    await this.#return(left);
    await until(() => this.#disk.stats().sessions > sessions, 'another session');
  }

  async #loseAll(): Promise<void> {
    this.writers.stop();
    this.#ism().close();
    const left = this.#medium.losePower(this.#options.draw);
    await this.#disk.close();
    await setTimeout(5); // writers have heard that it is closed
    this.history.lostPower({ isSeen: true });
    this.history.fence('w');
    await this.#return(left);
    this.#disk = await openDisk(this.#pair, this.#drivers, this.#options);
    this.#watch();
  }

  /** The machine of the target is there again. */
  async #return(left: Buffer): Promise<void> {
    await this.#target.close();
    this.#medium = mediumOf(left, this.#options);
    this.#isms.push(await this.#pair.open(this.#pair.functions[0]));
    this.#target = await serveBlock(this.#ism(), this.#medium, { grace: 1000 });
  }

  readonly #isms: Ism[] = [];

  #ism(): Ism {
    return this.#isms.at(-1) ?? this.#pair.a;
  }

  /** A session begins behind the fence: what failed in the one before has no effect any more. */
  #watch(): void {
    this.#disk.on('state', (state) => {
      if (state === 'open') this.history.fence('w');
    });
  }
}

function mediumOf(bytes: Buffer, { draw, fault = 'none' }: WorldOptions): RecordingMedium {
  return new RecordingMedium({ bytes, draw, fault, slow: 40 });
}

function openDisk(pair: Pair, drivers: Ism[], { mode }: WorldOptions): Promise<IsmDisk> {
  const open = async (): Promise<Ism> => {
    const driver = await openIsm(pair.functions[1].open());
    drivers.push(driver);
    return driver;
  };
  return openBlock(open, pair.a.gid, { mode, timeout, grace: 50 });
}

/** From a disk in this process, whichever it is by then. */
export function asking(disk: () => BlockDevice): Asking {
  return {
    write: async (offset, bytes, fua) => disk().write(offset, bytes, { fua }),
    zero: async (offset, length, fua) => disk().zero(offset, length, { fua }),
    read: async (offset, target) => disk().read(offset, target),
    flush: async () => disk().flush(),
  };
}
