// When an end of a stream looks again before it sleeps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../src/support/patience.js';

test('an end sleeps at once where the wait before was long', () => {
  const patience = new Patience();
  assert.equal(patience.holds(1, 10), false);
  assert.equal(patience.holds(2, 11), false);
});

test('it looks again where news came soon behind news, and for half a millisecond at most', () => {
  const patience = new Patience();
  patience.holds(1, 10);
  assert.equal(patience.holds(2, 10.2), true);
  assert.equal(patience.holds(2, 10.6), true);
  assert.equal(patience.holds(2, 10.7), false);
  assert.equal(patience.holds(2, 10.8), false);
});

test('a wait that was in vain is not repeated by the news that ends it late', () => {
  const patience = new Patience();
  patience.holds(1, 10);
  patience.holds(2, 10.1);
  assert.equal(patience.holds(3, 12), false);
  assert.equal(patience.holds(4, 12.1), true);
});
