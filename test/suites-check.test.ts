// What a workload has to be: told with its name and the value that does not fit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkedWorkloads } from '../bench/check-workloads.js';

const url = 'file:///own/suite.mjs';
const floor = { title: 'the same', operations: 1, open: () => undefined };
const good = { name: 'own/a/b', title: 'something', operations: 1, bytes: 0, windowBytes: 0, open: () => undefined };

function checked(...workloads: unknown[]): unknown {
  return checkedWorkloads(url, { workloads }, new Set(['other/a/b']));
}

test('whole ones are taken as they are', () => {
  const workloads = [good, { ...good, name: 'own/a/c', floor, target: { atLeast: 0.95 } }];
  assert.deepEqual(checked(...workloads), workloads);
});

for (const [fields, problem] of [
  [{ name: 'own' }, 'own has the name "own"; it has to be suite/what/how, each of letters, digits, dots and hyphens'],
  [{ name: undefined }, 'number 1 has the name undefined; '],
  [{ name: 'other/a/b' }, 'other/a/b has a name that another has'],
  [{ operations: 0 }, 'own/a/b has the operations 0; they have to be a whole number from 1 on'],
  [{ operations: 1.5 }, 'own/a/b has the operations 1.5; '],
  [{ bytes: -1 }, 'own/a/b has the bytes -1; '],
  [{ windowBytes: undefined }, 'own/a/b has the windowBytes undefined; they have to be a whole number from 0 on'],
  [{ title: '' }, 'own/a/b has the title ""; '],
  [{ open: 7 }, 'own/a/b has no function open, but 7'],
  [{ floor: 7 }, 'own/a/b has a floor that is no object, but 7'],
  [{ floor: { ...floor, operations: 0 } }, 'own/a/b has a floor that has the operations 0; '],
  [{ target: { atLeast: 1 } }, 'own/a/b has a target, but no floor that it could be held against'],
  [{ floor, target: { least: 1 } }, 'own/a/b has the target an instance of Object; '],
] as const) {
  test(`refused: ${problem}`, () => {
    assert.throws(
      () => checked({ ...good, ...fields }),
      (error: Error & { code: string; path: string }) => {
        assert.deepEqual([error.code, error.path], ['ERR_ISMIO_SUITE', '/own/suite.mjs']);
        assert.ok(error.message.startsWith(`/own/suite.mjs: workload ${problem}`), error.message);
        return true;
      },
    );
  });
}

test('one name twice in a module is refused, and so is what is no workload', () => {
  assert.throws(() => checked(good, good), /workload own\/a\/b has a name that another has/);
  assert.throws(() => checked(null), /workload number 1 is no object, but null/);
});
