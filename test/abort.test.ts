// Waiting for an AbortSignal: one listener for each signal, whoever waits, and none when nobody does.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import vm from 'node:vm';
import { checkSignal, onAbort } from '../src/support/abort.js';
import { throwsCode } from './support/errors.js';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

/** What another implementation's signal has: jsdom's, or a polyfill's. */
class ForeignSignal extends EventTarget {
  aborted = false;
  reason: unknown = undefined;
  abort(reason: unknown): void {
    Object.assign(this, { aborted: true, reason });
    this.dispatchEvent(new Event('abort'));
  }
}

test('however many wait for a signal, it has one listener, and none once they have ended', () => {
  const { signal } = new AbortController();
  const ends = Array.from({ length: 100 }, () => onAbort(signal, assert.fail));
  assert.equal(listeners(signal), 1);
  for (const end of ends) end();
  assert.equal(listeners(signal), 0);
  for (const end of ends) end();
  onAbort(signal, assert.fail)();
  assert.equal(listeners(signal), 0);
});

test('everybody who waits is told once, in the order in which they came, and the listener goes', () => {
  const controller = new AbortController();
  const told: number[] = [];
  const ends = [0, 1, 2, 3].map((number) => onAbort(controller.signal, () => told.push(number)));
  ends[2]?.();
  controller.abort();
  controller.abort();
  assert.deepEqual(told, [0, 1, 3]);
  assert.equal(listeners(controller.signal), 0);
  for (const end of ends) end();
});

test('whoever is told may end the waiting of others, and wait anew', () => {
  const controller = new AbortController();
  const told: string[] = [];
  onAbort(controller.signal, () => {
    told.push('first');
    end();
    onAbort(controller.signal, () => told.push('at once'));
  });
  const end = onAbort(controller.signal, () => told.push('second'));
  onAbort(controller.signal, () => told.push('third'));
  controller.abort();
  assert.deepEqual(told, ['first', 'at once', 'third']);
});

test('of a signal that is aborted already one is told at once', () => {
  let told = 0;
  const signal = AbortSignal.abort();
  onAbort(signal, () => told++)();
  assert.equal(told, 1);
  assert.equal(listeners(signal), 0);
});

test('waiting that ended in the meantime leaves those who came later alone', () => {
  const controller = new AbortController();
  onAbort(controller.signal, assert.fail)();
  let told = 0;
  onAbort(controller.signal, () => told++);
  controller.abort();
  assert.equal(told, 1);
});

test("another implementation's signal is as good as Node's", () => {
  const signal = new ForeignSignal();
  const taken = checkSignal(signal, 'drain') as AbortSignal;
  assert.equal(taken, signal);
  let told = 0;
  onAbort(taken, () => told++);
  signal.abort('enough');
  assert.equal(told, 1);
  const other = vm.runInNewContext('({ aborted: true, addEventListener() {}, removeEventListener() {} })') as unknown;
  assert.equal(checkSignal(other, 'drain'), other);
  assert.equal(checkSignal(undefined, 'drain'), undefined);
});

test('what is no AbortSignal is refused', () => {
  for (const value of [null, 5, 'signal', true, {}, new AbortController(), new EventTarget(), { aborted: false }]) {
    const error = throwsCode(() => checkSignal(value, 'drain'), TypeError, 'ERR_ISMIO_ARGUMENT_TYPE', {
      signal: value,
    });
    assert.match(error.message, /drain/);
  }
});
