// One sector of a disk as a register: whether some legal order of what was asked of it explains every read. The search is that of
// Wing and Gong, with Lowe's memory of what was tried before.
//
// What lies on the medium is known as a row of values, the newest last: a loss of power leaves any of them. A flush takes from the
// row whatever is older than the last write that was answered before it was asked; so does a write with FUA that was answered.

export type StepKind = 'write' | 'read' | 'flush' | 'told' | 'loss';

/** Something that was asked of the sector, or befell it, between two moments. */
export interface Step {
  /** 'told': a flush failed, which said that what was not flushed may be lost. 'loss': the power was lost. */
  readonly kind: StepKind;
  readonly from: number;
  /** When it was answered; of what is optional, the moment behind which it cannot take effect any more. */
  readonly to: number;
  /** Of a write or read. 0 is what the sector had at first. */
  readonly value: number;
  /** It may as well not have happened: nobody was told that it had. */
  readonly isOptional: boolean;
  readonly fua: boolean;
  /** Of a loss: whoever writes knows of it, so no flush has to tell. */
  readonly isSeen: boolean;
}

/** A write in the row; -1 is what was there at first. */
interface Entry {
  readonly step: number;
  /** It was told of that it may be lost. */
  readonly isWaived: boolean;
}

interface State {
  readonly row: readonly Entry[];
  /** Behind a loss of power nobody knows which of the row is there, until it is read or written. */
  readonly isKnown: boolean;
  /** What was answered has been lost, and nobody was told. */
  readonly isUntold: boolean;
}

/** A step that nothing explains, and what there could have been at best. */
export interface Unexplained {
  readonly step: Step;
  readonly values: readonly number[];
}

/** Null where an order explains all of it. */
export function unexplained(given: readonly Step[]): Unexplained | null {
  return new Search(given).run();
}

/** What is left to do at a point of the search: steps that may come next, and the state behind each. */
interface Choice {
  readonly state: State;
  readonly latest: number;
  readonly next: { readonly index: number; readonly state: State }[];
}

class Search {
  readonly #steps: readonly Step[];
  readonly #taken: Uint8Array;
  readonly #tried = new Set<string>();
  /** Steps that have to come and have not. */
  #left: number;
  /** Every step before it is done with. */
  #low = 0;
  #furthest = -1;
  #blocked: Unexplained | null = null;

  constructor(given: readonly Step[]) {
    this.#steps = [...given].sort((a, b) => a.from - b.from);
    this.#taken = new Uint8Array(this.#steps.length);
    this.#left = this.#steps.filter(({ isOptional }) => !isOptional).length;
  }

  run(): Unexplained | null {
    const first: State = { row: [{ step: -1, isWaived: false }], isKnown: true, isUntold: false };
    const path: { index: number; low: number }[] = [];
    const choices: Choice[] = [this.#choice(first, 0)];
    while (choices.length > 0) {
      const choice = choices.at(-1) as Choice;
      if (this.#left === 0) return null;
      const taken = choice.next.pop();
      if (taken === undefined) {
        choices.pop();
        const back = path.pop();
        if (back === undefined) break;
        this.#take(back.index, false);
        this.#low = back.low;
        continue;
      }
      path.push({ index: taken.index, low: this.#low });
      this.#take(taken.index, true);
      const latest = Math.max(choice.latest, (this.#steps[taken.index] as Step).from);
      choices.push(this.#choice(taken.state, latest));
    }
    return this.#blocked;
  }

  #take(index: number, isTaken: boolean): void {
    this.#taken[index] = isTaken ? 1 : 0;
    if (!(this.#steps[index] as Step).isOptional) this.#left += isTaken ? -1 : 1;
  }

  #choice(state: State, latest: number): Choice {
    this.#skipDone(latest);
    if (this.#wasTried(state, latest)) return { state, latest, next: [] };
    const deadline = this.#deadline();
    const next: { index: number; state: State }[] = [];
    for (let index = this.#low; index < this.#steps.length; index++) {
      const step = this.#steps[index] as Step;
      if (step.from > deadline.to) break;
      if (this.#taken[index] === 1 || (step.isOptional && step.to < latest)) continue;
      const behind = this.#behind(state, step, index);
      if (behind === null) continue;
      // A read that changes nothing may come now as well as later, unless it is the end of what could come before it.
      const isFree = step.kind === 'read' && behind === state && !this.#endsAny(step.from, latest);
      if (isFree) return { state, latest, next: [{ index, state }] };
      next.push({ index, state: behind });
    }
    if (next.length === 0) this.#note(state, deadline);
    return { state, latest, next: next.sort((a, b) => this.#rank(b.index) - this.#rank(a.index)) };
  }

  /** Whether there are steps that cannot come any more once one of this moment has. */
  #endsAny(from: number, latest: number): boolean {
    for (let index = this.#low; index < this.#steps.length; index++) {
      const step = this.#steps[index] as Step;
      if (step.from > from) return false;
      if (step.isOptional && this.#taken[index] === 0 && step.to >= latest && step.to < from) return true;
    }
    return false;
  }

  /** What is answered first is tried first, and what nobody was told of last. */
  #rank(index: number): number {
    const { isOptional, to } = this.#steps[index] as Step;
    return isOptional ? Number.MAX_VALUE : to;
  }

  #skipDone(latest: number): void {
    for (; this.#low < this.#steps.length; this.#low++) {
      const { isOptional, to } = this.#steps[this.#low] as Step;
      const isDone = this.#taken[this.#low] === 1 || (isOptional && to < latest);
      if (!isDone) return;
    }
  }

  #wasTried({ row, isKnown, isUntold }: State, latest: number): boolean {
    const ahead: number[] = [];
    for (let index = this.#low; index < this.#steps.length; index++) if (this.#taken[index] === 1) ahead.push(index);
    const entries = row.map(({ step, isWaived }) => `${step}${isWaived ? '~' : ''}`);
    const key = `${this.#low} ${latest} ${ahead} ${entries} ${isKnown} ${isUntold}`;
    if (this.#tried.has(key)) return true;
    this.#tried.add(key);
    return false;
  }

  /** The step that has to come before any which was asked behind its answer. */
  #deadline(): Step {
    let first: Step | null = null;
    for (let index = this.#low; index < this.#steps.length; index++) {
      const step = this.#steps[index] as Step;
      if (first !== null && step.from > first.to) break;
      if (this.#taken[index] === 0 && !step.isOptional && (first === null || step.to < first.to)) first = step;
    }
    return first ?? never;
  }

  #note({ row, isKnown }: State, step: Step): void {
    if (step === never || this.#low < this.#furthest) return;
    this.#furthest = this.#low;
    const shown = isKnown ? row.slice(-1) : row;
    this.#blocked = { step, values: shown.map((entry) => this.#valueOf(entry)) };
  }

  #valueOf({ step }: Entry): number {
    return this.#steps[step]?.value ?? 0;
  }

  /** When the write of an entry was answered. */
  #answered({ step }: Entry): number {
    const found = this.#steps[step];
    if (found === undefined) return 0;
    return found.isOptional ? Number.POSITIVE_INFINITY : found.to;
  }

  /** Null where it cannot be. */
  #behind(state: State, step: Step, index: number): State | null {
    const { row, isKnown, isUntold } = state;
    switch (step.kind) {
      case 'write': {
        const entry = { step: index, isWaived: false };
        const isKept = step.fua && !step.isOptional;
        return { row: isKept ? [entry] : [...row, entry], isKnown: true, isUntold };
      }
      case 'read':
        return this.#read(state, step);
      case 'flush':
        return isUntold ? null : { row: this.#flushed(row, step.from), isKnown, isUntold };
      case 'told':
        return { row: waived(row), isKnown, isUntold: false };
      default:
        return { row: step.isSeen ? waived(row) : row, isKnown: row.length === 1, isUntold: isUntold && !step.isSeen };
    }
  }

  #read(state: State, { value }: Step): State | null {
    const { row, isKnown, isUntold } = state;
    if (isKnown) return this.#valueOf(row.at(-1) as Entry) === value ? state : null;
    const at = row.findLastIndex((entry) => this.#valueOf(entry) === value);
    if (at < 0) return null;
    const lost = row.slice(at + 1).some((entry) => !entry.isWaived && this.#answered(entry) < Number.POSITIVE_INFINITY);
    return { row: [row[at] as Entry], isKnown: true, isUntold: isUntold || lost };
  }

  #flushed(row: readonly Entry[], asked: number): readonly Entry[] {
    const at = row.findLastIndex((entry) => !entry.isWaived && this.#answered(entry) < asked);
    return at <= 0 ? row : row.slice(at);
  }
}

const never: Step = {
  ...{ kind: 'loss', value: 0, from: 0, to: Number.POSITIVE_INFINITY },
  ...{ isOptional: true, fua: false, isSeen: true },
};

function waived(row: readonly Entry[]): readonly Entry[] {
  return row.map(({ step }) => ({ step, isWaived: true }));
}
