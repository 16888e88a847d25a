// The checker of histories: what it refuses, what it accepts, and that its search finds what trying every order finds.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { History } from './support/history.js';
import { type Fault, Model } from './support/history-model.js';
import { sequence } from './support/random.js';
import { type Step, unexplained } from './support/register.js';
import { scaled } from './support/scale.js';
import { stamped } from './support/stamps.js';

/** A history in which each thing is answered before the next is asked. */
class Told extends History {
  wrote(sector = 0, { fua = false } = {}): number {
    const { asked } = this.write('w', sector, 1, { fua });
    this.done(asked);
    return asked.value;
  }

  saw(value: number, sector = 0): this {
    this.done(this.read('r', sector), stamped(sector, 1, value));
    return this;
  }

  flushed(): this {
    this.done(this.flush('w'));
    return this;
  }

  failedFlush(): this {
    this.refused(this.flush('w'));
    return this;
  }

  lost(isSeen = true): this {
    this.lostPower({ isSeen });
    return this;
  }
}

const refuses = (history: History, message = /no order explains/) => assert.throws(() => history.check(), { message });

describe('a history is refused', () => {
  test('whose write was answered and is not there', () => {
    const history = new Told();
    const first = history.wrote();
    history.wrote();
    refuses(history.saw(first));
  });

  test('whose write of an earlier session lands over a newer one, behind the fence', () => {
    for (const isFenced of [true, false]) {
      const history = new Told();
      const meanwhile = history.read('another', 0);
      const { asked: stale } = history.write('w', 0);
      history.unknown(stale);
      if (isFenced) history.fence('w');
      const newer = history.wrote();
      history.saw(newer).saw(stale.value);
      history.done(meanwhile, stamped(0, 1, stale.value));
      if (isFenced) refuses(history);
      else history.check();
    }
  });

  test('which had a value, then another, and then the first again', () => {
    const history = new Told();
    const { asked } = history.write('w', 0);
    history.saw(asked.value);
    history.saw(history.wrote()).saw(asked.value);
    refuses(history);
  });

  test('that reads what nobody wrote, or wrote to another sector', () => {
    refuses(new Told().saw(77));
    const history = new Told();
    const value = history.wrote(1);
    history.done(history.read('r', 0), stamped(1, 1, value));
    refuses(history, /is of no one write: 1 for sector 1/);
  });

  test('that reads a sector with bytes of two writes, unless it was written meanwhile by way of a page cache', () => {
    for (const mayTear of [false, true]) {
      for (const isMeanwhile of [false, true]) {
        const history = new Told({ mayTear });
        const value = history.wrote();
        const { asked } = history.write('w', 0);
        if (!isMeanwhile) history.done(asked);
        const torn = Buffer.concat([stamped(0, 1, value).subarray(0, 256), stamped(0, 1, asked.value).subarray(256)]);
        history.done(history.read('r', 0), torn);
        if (isMeanwhile) history.done(asked);
        if (mayTear && isMeanwhile) history.check();
        else refuses(history, /is of no one write: 1 for sector 0, 2 for sector 0/);
      }
    }
  });

  test('that has lost with the power what was flushed, or written with FUA', () => {
    const flushed = new Told();
    flushed.wrote();
    refuses(flushed.flushed().lost().saw(0));
    const forced = new Told();
    forced.wrote(0, { fua: true });
    refuses(forced.lost().saw(0));
  });

  test('that flushes well what a loss of power has taken, of which nobody was told', () => {
    for (const isRead of [false, true]) {
      for (const isTold of [false, true]) {
        const history = new Told();
        history.wrote();
        history.lost(false);
        if (isRead) history.saw(0);
        if (isTold) history.failedFlush();
        history.flushed().saw(0);
        if (isTold) history.check();
        else refuses(history);
      }
    }
  });

  test('whose write was answered behind the loss of power, and is gone', () => {
    const history = new Told();
    const { asked } = history.write('w', 0);
    history.saw(asked.value).lost(false);
    history.done(asked);
    refuses(history.saw(0));
  });
});

describe('a history is accepted', () => {
  test('whose writes that were not flushed are lost with the power, each or none', () => {
    for (const seen of [0, 1, 2]) {
      const history = new Told();
      history.wrote();
      history.wrote();
      history.lost().saw(seen).saw(seen).check();
    }
  });

  test('whose flush did not wait for a write that was on its way', () => {
    const history = new Told();
    const { asked } = history.write('w', 0);
    history.saw(asked.value).flushed();
    history.done(asked);
    history.lost().saw(0).check();
  });

  test('whose write was not answered, and is there later, or never', () => {
    for (const seen of [0, 1]) {
      const history = new Told();
      history.unknown(history.write('w', 0).asked);
      history.saw(0).saw(seen).saw(seen).check();
    }
  });

  test('of a disk that does one thing after the other, whatever its clients ask', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        new Model(sequence(seed)).run(120).check();
      }),
      { numRuns: scaled(300) },
    );
  });
});

const faults: readonly Exclude<Fault, 'none'>[] = [
  ...(['loses a write', 'ignores flush', 'ignores FUA', 'repeats a write', 'reads what was before'] as const),
];
for (const fault of faults) {
  test(`most random histories are refused, of a disk that ${fault}`, () => {
    const caught = Array.from({ length: 40 }, (_, seed) => {
      const history = new Model(sequence(seed), fault).run(300);
      try {
        history.check();
        return 0;
      } catch {
        return 1;
      }
    }).reduce<number>((sum, one) => sum + one, 0);
    assert.ok(caught > 20, `${caught} of 40`);
  });
}

const anyStep: fc.Arbitrary<Step> = fc
  .tuple(
    fc.constantFrom<Step['kind'][]>('write', 'write', 'write', 'read', 'read', 'read', 'flush', 'told', 'loss'),
    fc.nat(12),
    fc.nat(5),
    fc.record({ value: fc.nat(2), isOptional: fc.boolean(), fua: fc.boolean(), isSeen: fc.boolean() }),
  )
  .map(([kind, from, lasts, { value, isOptional, fua, isSeen }]) => {
    const isWrite = kind === 'write';
    return { kind, from, to: from + lasts, value, isOptional: isWrite && isOptional, fua: isWrite && fua, isSeen };
  });

/** Every order that the times allow, with any of what is optional, each seen by a search that has no choice. */
function isExplainedByAny(steps: readonly Step[], before: readonly Step[] = []): boolean {
  if (steps.every(({ isOptional }) => isOptional) && isExplainedAsItIs(before)) return true;
  return steps.some((step) => {
    const isNext = steps.every((other) => other.isOptional || other.to >= step.from);
    const isInTime = !step.isOptional || before.every(({ from }) => from <= step.to);
    return (
      isNext &&
      isInTime &&
      isExplainedByAny(
        steps.filter((other) => other !== step),
        [...before, step],
      )
    );
  });
}

/** When a write was answered, and a flush asked, counts besides the order. */
function isExplainedAsItIs(order: readonly Step[]): boolean {
  let row: { value: number; answered: number; isWaived: boolean }[] = [{ value: 0, answered: 0, isWaived: false }];
  let known: number | null = 0;
  let isUntold = false;
  for (const { kind, value, from, to, isOptional, fua, isSeen } of order) {
    if (kind === 'write') {
      if (fua && !isOptional) row = [];
      row.push({ value, answered: isOptional ? Number.POSITIVE_INFINITY : to, isWaived: false });
      known = value;
    } else if (kind === 'read' && known !== null) {
      if (known !== value) return false;
    } else if (kind === 'read') {
      const at = row.findLastIndex((entry) => entry.value === value);
      if (at < 0) return false;
      isUntold ||= row.some(({ answered, isWaived }, i) => i > at && !isWaived && Number.isFinite(answered));
      row = row.slice(at, at + 1);
      known = value;
    } else if (kind === 'flush') {
      if (isUntold) return false;
      const at = row.findLastIndex(({ answered, isWaived }) => !isWaived && answered < from);
      row = row.slice(Math.max(at, 0));
    } else {
      if (kind === 'told' || isSeen) {
        row = row.map((entry) => ({ ...entry, isWaived: true }));
        isUntold = false;
      }
      if (kind === 'loss') known = row.length === 1 ? (row[0]?.value ?? 0) : null;
    }
  }
  return true;
}

test('the search finds an order where there is one, and none where there is none, beside one that tries them all', () => {
  let explained = 0;
  let all = 0;
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 6 }), (steps) => {
      const expected = isExplainedByAny(steps);
      assert.equal(unexplained(steps) === null, expected);
      all++;
      if (expected) explained++;
    }),
    { numRuns: scaled(3000) },
  );
  assert.ok(explained > all / 10 && explained < (all * 9) / 10, `${explained} of ${all} were explained`);
});
