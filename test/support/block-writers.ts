// Writers and readers of a disk that have several requests in flight, and write down what they ask and are answered. No two writes
// of a sector are in flight at a time: of such, disks promise nothing.
import { setTimeout } from 'node:timers/promises';
import { isIsmioError } from 'ismio';
import type { History } from './history.js';
import { sectorBytes } from './stamps.js';

/** What they ask of a disk: a BlockDevice, or a client of one. */
export interface Asking {
  write(offset: number, bytes: Buffer, fua: boolean): Promise<void> | undefined;
  zero(offset: number, length: number, fua: boolean): Promise<void> | undefined;
  read(offset: number, target: Buffer): Promise<void> | undefined;
  flush(): Promise<void> | undefined;
}

export interface WritersOptions {
  readonly history: History;
  readonly draw: (limit: number) => number;
  readonly sectors: number;
  /** Sectors of the longest request. */
  readonly longest: number;
  /** By which name the history has them: what one of a name was not answered, none of it is behind its fence. */
  readonly client: string;
}

export class Writers {
  readonly #options: WritersOptions;
  /** Sectors that are being written. */
  readonly #busy = new Set<number>();
  #isOver = false;
  /** Answers of each kind, and requests that were not answered. */
  readonly counts = { write: 0, zero: 0, read: 0, flush: 0, refused: 0, unknown: 0 };

  constructor(options: WritersOptions) {
    this.#options = options;
  }

  /** So many requests in flight, of each the next as soon as it is answered, until `stop`. */
  async run(disk: Asking, inFlight: number): Promise<void> {
    this.#isOver = false;
    const one = async (): Promise<void> => {
      while (!this.#isOver) if (!(await this.ask(disk))) await setTimeout(1); // one that is lost fails all at once
    };
    await Promise.all(Array.from({ length: inFlight }, one));
  }

  stop(): void {
    this.#isOver = true;
  }

  /** One request. */
  ask(disk: Asking): Promise<boolean> {
    const { history, draw, client, sectors, longest } = this.#options;
    const sector = draw(sectors);
    const count = 1 + draw(Math.min(longest, sectors - sector));
    const kind = draw(20);
    const [offset, fua] = [sector * sectorBytes, draw(4) === 0];
    if (kind < 10 && this.#claim(sector, count)) {
      const isZero = kind === 0;
      const { asked, bytes } = isZero
        ? { asked: history.zero(client, sector, count, { fua }), bytes: Buffer.alloc(0) }
        : history.write(client, sector, count, { fua });
      const act = () => (isZero ? disk.zero(offset, count * sectorBytes, fua) : disk.write(offset, bytes, fua));
      return this.#answered(act, asked).finally(() => this.#free(sector, count));
    }
    if (kind < 18) {
      const bytes = Buffer.alloc(count * sectorBytes);
      return this.#answered(() => disk.read(offset, bytes), history.read(client, sector, count), bytes);
    }
    return this.flush(disk);
  }

  flush(disk: Asking): Promise<boolean> {
    return this.#answered(() => disk.flush(), this.#options.history.flush(this.#options.client));
  }

  /** Reads every sector once. */
  async readAll(disk: Asking): Promise<void> {
    const { history, client, sectors, longest } = this.#options;
    for (let sector = 0; sector < sectors; sector += longest) {
      const count = Math.min(longest, sectors - sector);
      const bytes = Buffer.alloc(count * sectorBytes);
      await this.#answered(() => disk.read(sector * sectorBytes, bytes), history.read(client, sector, count), bytes);
    }
  }

  /** Whether it was answered, well or not. */
  async #answered(
    act: () => Promise<void> | undefined,
    asked: ReturnType<History['read']>,
    bytes?: Buffer,
  ): Promise<boolean> {
    const { history } = this.#options;
    try {
      await act();
    } catch (error) {
      const isAnswer = isAnswered(error);
      this.counts[isAnswer ? 'refused' : 'unknown']++;
      if (isAnswer) history.refused(asked);
      else history.unknown(asked);
      return isAnswer;
    }
    this.counts[asked.kind]++;
    history.done(asked, bytes);
    return true;
  }

  #claim(sector: number, count: number): boolean {
    const wanted = Array.from({ length: count }, (_, i) => sector + i);
    if (wanted.some((one) => this.#busy.has(one))) return false;
    for (const one of wanted) this.#busy.add(one);
    return true;
  }

  #free(sector: number, count: number): void {
    for (let i = 0; i < count; i++) this.#busy.delete(sector + i);
  }
}

/** Of one that was lost with its session nobody knows what it did, nor whether it may still do it. */
function isAnswered(error: unknown): boolean {
  if (isIsmioError(error, 'ERR_ISMIO_BLOCK_LOST')) return error['reason'] === 'unflushed';
  return isIsmioError(error, 'ERR_ISMIO_DISK');
}
