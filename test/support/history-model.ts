// A disk that does one thing after the other, and clients of it in random order: histories that are legal because this made them.
import { History } from './history.js';
import { stamped } from './stamps.js';

const sectors = 3;
const clients = 3;

/** What a fault of the disk is. */
export type Fault =
  | 'none'
  | 'loses a write'
  | 'ignores flush'
  | 'ignores FUA'
  | 'repeats a write'
  | 'reads what was before';

interface Request {
  readonly client: string;
  readonly kind: 'write' | 'read' | 'flush';
  readonly sector: number;
  readonly count: number;
  readonly fua: boolean;
  readonly value: number;
  /** Tells of its answer. */
  readonly ends: (how: 'done' | 'unknown', bytes?: Buffer) => void;
  hasTakenEffect: boolean;
  /** What a read has read. */
  bytes: Buffer;
}

type Draw = (limit: number) => number;

export class Model {
  readonly history = new History();
  readonly #draw: Draw;
  readonly #fault: Fault;
  readonly #current: number[] = new Array<number>(sectors).fill(0);
  /** For each sector what may be on the medium. */
  readonly #kept: number[][] = this.#current.map((value) => [value]);
  readonly #before: number[] = [...this.#current];
  #open: Request[] = [];
  /** Those that will not be answered, and may take effect until a fence. */
  #late: Request[] = [];
  readonly #written: Request[] = [];

  constructor(draw: Draw, fault: Fault = 'none') {
    this.#draw = draw;
    this.#fault = fault;
  }

  run(turns: number): History {
    for (let turn = 0; turn < turns; turn++) this.#turn();
    while (this.#open.length > 0) this.#answer();
    for (let sector = 0; sector < sectors; sector++) {
      const asked = this.history.read('the end', sector);
      this.history.done(asked, stamped(sector, 1, this.#current[sector] as number));
    }
    return this.history;
  }

  #turn(): void {
    const what = this.#draw(20);
    if (what < 8) this.#ask();
    else if (what < 11) this.#effect(this.#some(this.#open.filter(({ hasTakenEffect }) => !hasTakenEffect)));
    else if (what < 16) this.#answer();
    else if (what === 16) this.#loseClient();
    else if (what === 17) this.#effect(this.#some(this.#late));
    else if (what === 18) this.#losePower();
    else this.#makeFault();
  }

  #ask(): void {
    const client = `client ${this.#draw(clients)}`;
    if (this.#open.some((one) => one.client === client)) return;
    const sector = this.#draw(sectors);
    const count = 1 + this.#draw(sectors - sector);
    const kind = (['write', 'write', 'read', 'read', 'flush'] as const)[this.#draw(5)] as Request['kind'];
    const fua = kind === 'write' && this.#draw(4) === 0;
    const { history } = this;
    const asked =
      kind === 'write'
        ? history.write(client, sector, count, { fua }).asked
        : kind === 'read'
          ? history.read(client, sector, count)
          : history.flush(client);
    const ends: Request['ends'] = (how, bytes) => {
      if (how === 'done') history.done(asked, bytes);
      else history.unknown(asked);
    };
    const { value } = asked;
    this.#open.push({ client, kind, sector, count, fua, value, ends, hasTakenEffect: false, bytes: Buffer.alloc(0) });
  }

  #some(of: readonly Request[]): Request | undefined {
    return of.length === 0 ? undefined : of[this.#draw(of.length)];
  }

  #effect(request: Request | undefined): void {
    if (request === undefined) return;
    request.hasTakenEffect = true;
    this.#late = this.#late.filter((one) => one !== request);
    const { kind, sector, count, value, fua } = request;
    const places = Array.from({ length: count }, (_, i) => sector + i);
    if (kind === 'read') {
      const isStale = this.#fault === 'reads what was before' && this.#draw(3) === 0;
      const values = isStale ? this.#before : this.#current;
      request.bytes = Buffer.concat(places.map((place) => stamped(place, 1, values[place] as number)));
      return;
    }
    if (kind === 'flush') {
      if (this.#fault !== 'ignores flush') this.#keepAll();
      return;
    }
    if (this.#fault === 'loses a write' && this.#draw(3) === 0) return;
    for (const place of places) {
      this.#before[place] = this.#current[place] as number;
      this.#current[place] = value;
      if (fua && this.#fault !== 'ignores FUA') this.#kept[place] = [value];
      else (this.#kept[place] as number[]).push(value);
    }
    this.#written.push(request);
  }

  #keepAll(): void {
    for (const [place, value] of this.#current.entries()) this.#kept[place] = [value];
  }

  #answer(): void {
    const request = this.#some(this.#open);
    if (request === undefined) return;
    this.#open = this.#open.filter((one) => one !== request);
    if (!request.hasTakenEffect) this.#effect(request);
    request.ends('done', request.bytes);
  }

  /** What it asked is not answered; then it comes back, by which time all of it is over. */
  #loseClient(): void {
    const request = this.#some(this.#open);
    if (request === undefined) return;
    this.#open = this.#open.filter((one) => one !== request);
    request.ends('unknown');
    if (!request.hasTakenEffect && request.kind === 'write') this.#late.push(request);
    if (this.#draw(2) === 0) return;
    this.#late = this.#late.filter(({ client }) => client !== request.client);
    this.history.fence(request.client);
  }

  /** All clients see it: what they had asked is never answered. */
  #losePower(): void {
    for (const { ends } of this.#open.splice(0)) ends('unknown');
    this.#late = [];
    this.history.lostPower({ isSeen: true });
    for (let client = 0; client < clients; client++) this.history.fence(`client ${client}`);
    for (const [place, kept] of this.#kept.entries()) {
      this.#current[place] = kept[this.#draw(kept.length)] as number;
      this.#kept[place] = [this.#current[place] as number];
    }
  }

  /** A write that was answered, once more: as one of a session that has ended. */
  #makeFault(): void {
    if (this.#fault === 'repeats a write') this.#effect(this.#some(this.#written.slice(-3)));
  }
}
