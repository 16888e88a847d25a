// What clients asked of a disk, what they were answered, and what befell it meanwhile: from this, whether each sector was a
// register all the time. A moment is a number that counts up, since all of it is seen in one process.
import assert from 'node:assert/strict';
import { type Step, unexplained } from './register.js';
import { readStamps, sectorBytes, stamped } from './stamps.js';

/** Something that was asked. */
export interface Asked {
  readonly client: string;
  readonly kind: 'write' | 'zero' | 'read' | 'flush';
  readonly sector: number;
  readonly count: number;
  readonly fua: boolean;
  readonly value: number;
  readonly from: number;
}

interface Recorded extends Asked {
  /** Until it is answered, or cannot take effect any more. */
  to: number;
  how: 'open' | 'done' | 'unknown' | 'refused';
  /** Of a read. */
  values: readonly number[];
}

interface Loss {
  readonly at: number;
  readonly isSeen: boolean;
}

export interface HistoryOptions {
  /**
   * Reads of a sector while it is written may have some of both, as through the page cache of a kernel. Such a read says nothing.
   * Default false.
   */
  readonly mayTear?: boolean;
}

export class History {
  readonly #mayTear: boolean;
  readonly #all: Recorded[] = [];
  readonly #losses: Loss[] = [];
  readonly #torn: { readonly asked: Recorded; readonly sector: number; readonly wrong: string }[] = [];
  #now = 0;
  #values = 0;

  constructor({ mayTear = false }: HistoryOptions = {}) {
    this.#mayTear = mayTear;
  }

  /** The same so far; what is added to it is not added here. */
  fork(): History {
    const fork = new History({ mayTear: this.#mayTear });
    fork.#all.push(...this.#all.map((asked) => ({ ...asked })));
    fork.#losses.push(...this.#losses);
    fork.#torn.push(...this.#torn);
    fork.#now = this.#now;
    fork.#values = this.#values;
    return fork;
  }

  /** How many operations were answered. */
  get answered(): number {
    return this.#all.filter(({ how }) => how === 'done').length;
  }

  /** A write is about to be asked. @returns what it writes, besides */
  write(client: string, sector: number, count = 1, { fua = false } = {}): { asked: Asked; bytes: Buffer } {
    const value = ++this.#values;
    const asked = this.#ask({ client, kind: 'write', sector, count, fua, value });
    return { asked, bytes: stamped(sector, count, value) };
  }

  zero(client: string, sector: number, count = 1, { fua = false } = {}): Asked {
    return this.#ask({ client, kind: 'zero', sector, count, fua, value: 0 });
  }

  read(client: string, sector: number, count = 1): Asked {
    return this.#ask({ client, kind: 'read', sector, count, fua: false, value: 0 });
  }

  flush(client: string): Asked {
    return this.#ask({ client, kind: 'flush', sector: 0, count: 0, fua: false, value: 0 });
  }

  /** It was answered; a read with these bytes. */
  done(asked: Asked, bytes?: Buffer): void {
    const recorded = this.#end(asked, 'done');
    if (asked.kind !== 'read') return;
    assert.ok(
      bytes?.length === asked.count * sectorBytes,
      `a read of ${asked.count} sectors has ${bytes?.length} bytes`,
    );
    recorded.values = readStamps(asked.sector, bytes).map((read, i) => {
      if ('value' in read) return read.value;
      this.#torn.push({ asked: recorded, sector: asked.sector + i, wrong: read.wrong });
      return Number.NaN;
    });
  }

  /** It failed: of a write some sectors may have been written, and a flush has told that all before it may be lost. */
  refused(asked: Asked): void {
    this.#end(asked, 'refused');
  }

  /** It will not be answered. It may still take effect, until the client's fence. */
  unknown(asked: Asked): void {
    (asked as Recorded).how = 'unknown';
  }

  /** Nothing takes effect any more of what this client was not answered. */
  fence(client: string): void {
    const at = ++this.#now;
    for (const asked of this.#all) {
      if (asked.client !== client || Number.isFinite(asked.to) || asked.how === 'open') continue;
      asked.to = at;
    }
  }

  /** The medium lost what was not flushed. Where clients cannot see it, their next flush has to tell. */
  lostPower({ isSeen = false } = {}): void {
    this.#losses.push({ at: ++this.#now, isSeen });
  }

  /** @throws AssertionError where a read is not explained by any order */
  check(): void {
    for (const { asked, sector, wrong } of this.#torn) {
      const isAllowed = this.#mayTear && this.#isWritten(sector, asked);
      assert.ok(isAllowed, `${told(asked)}: sector ${sector} is of no one write: ${wrong}`);
    }
    const sectors = new Set(
      this.#all.flatMap(({ sector, count }) => Array.from({ length: count }, (_, i) => sector + i)),
    );
    for (const sector of sectors) {
      const steps = this.#stepsOf(sector);
      const found = unexplained(steps);
      if (found === null) continue;
      const text = steps.map((step) => `\n  ${line(step)}`).join('');
      assert.fail(
        `sector ${sector}: no order explains ${line(found.step)}, where there was ${found.values.join(' or ')}, of${text}`,
      );
    }
  }

  #ask(asked: Omit<Asked, 'from'>): Asked {
    const recorded: Recorded = { ...asked, from: ++this.#now, to: Number.POSITIVE_INFINITY, how: 'open', values: [] };
    this.#all.push(recorded);
    return recorded;
  }

  #end(asked: Asked, how: 'done' | 'refused'): Recorded {
    const recorded = asked as Recorded;
    assert.equal(recorded.how, 'open', `${told(recorded)} ends twice`);
    recorded.how = how;
    recorded.to = ++this.#now;
    return recorded;
  }

  /** Whether something else wrote the sector while it was read, or may have. */
  #isWritten(sector: number, read: Recorded): boolean {
    return this.#all.some(({ kind, from, to, sector: first, count }) => {
      const isWrite = kind === 'write' || kind === 'zero';
      return isWrite && from < read.to && to > read.from && first <= sector && sector < first + count;
    });
  }

  #stepsOf(sector: number): Step[] {
    const own = this.#all.filter(({ kind, sector: first, count }) => {
      return kind === 'flush' || (first <= sector && sector < first + count);
    });
    const steps = own.flatMap((asked) => this.#stepsOfOne(asked, sector));
    for (const { at, isSeen } of this.#losses) steps.push({ ...plain, kind: 'loss', from: at, to: at, isSeen });
    const read = new Set(steps.flatMap(({ kind, value }) => (kind === 'read' ? [value] : [])));
    // What nobody was told of and nobody saw need not have happened.
    return steps.filter(({ kind, isOptional, value }) => !(isOptional && kind === 'write') || read.has(value));
  }

  #stepsOfOne(asked: Recorded, sector: number): Step[] {
    const { kind, from, to, how, value, fua } = asked;
    const step = { ...plain, from, to, value, fua };
    switch (kind) {
      case 'read': {
        const seen = asked.values[sector - asked.sector];
        return how === 'done' && !Number.isNaN(seen) ? [{ ...step, kind: 'read', value: seen as number }] : [];
      }
      case 'flush': {
        if (how === 'refused') return [{ ...step, kind: 'told' }];
        const loss = this.#losses.find(({ at }) => from < at && at < to);
        return how === 'done' ? [{ ...step, kind: 'flush', to: loss === undefined ? to : loss.at - half }] : [];
      }
      default:
        return this.#writesOf({ ...step, kind: 'write', isOptional: how !== 'done' });
    }
  }

  /** Of one that was asked before the power was lost and answered behind that: it may have been there before as well. */
  #writesOf(step: Step): Step[] {
    const within = this.#losses.filter(({ at }) => step.from < at && at < step.to);
    const last = within.at(-1);
    if (last === undefined || step.isOptional) return [step];
    const before = within.map(({ at }) => ({ ...step, to: at - half, isOptional: true }));
    return [...before, { ...step, from: last.at + half }];
  }
}

/** Between two moments. */
const half = 0.5;

const plain = { value: 0, isOptional: false, fua: false, isSeen: false };

function told({ client, kind, sector, count, from, to }: Recorded): string {
  return `${client}: ${kind} of ${count} from sector ${sector} on, ${from} to ${to}`;
}

function line({ kind, value, from, to, isOptional, fua }: Step): string {
  const what = kind === 'write' || kind === 'read' ? `${kind} of ${value}` : kind;
  return `${what}${fua ? ' with FUA' : ''}, ${from} to ${to}${isOptional ? ', perhaps' : ''}`;
}
