// The numbers by which a thread's addon knows what it holds: none stands for two things, whatever their kinds.
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { allocBuffer, memoryId } from '../src/access/memory.js';
import { answers, native } from '../src/addon/binding.js';
import { type DescriptorHandle, type Handle, noHandle, type RegionHandle } from '../src/addon/handles.js';
import { Field } from '../src/addon/wire.js';
import { Singles } from '../src/region/singles.js';
import { temporaryFile } from './support/files.js';
import { scaled } from './support/scale.js';

const rules = [128, 256, false, true, true] as const;
const { EBADF, ENOSYS } = constants.errno;
/** What an ioctl of VFIO answers without a descriptor; an emulator looks whether it knows the ioctl first. */
const noDescriptor = process.env['S390X_WRAPPER'] === undefined ? EBADF : ENOSYS;

function emulated(): RegionHandle {
  const made = native.emulate(4096, ...rules, false, 'emulated', new Float64Array(4), new Float64Array(0), 0);
  assert.ok(made !== undefined);
  return made;
}

function queueOn(region: RegionHandle) {
  const made = native.createQueue(region, 16, 4096, 0, false, () => undefined);
  assert.ok(typeof made === 'object');
  return made.queue;
}

function signal() {
  const made = native.signalOpen(() => undefined, false);
  assert.ok(typeof made === 'object');
  native.signalKeepAlive(made.signal, false); // a test that fails leaves it open, and has to end all the same
  return made.signal;
}

/** Everything that takes a number, with this one: whoever it is, nothing of it may be reached as something else. */
function useAsAll(number: number, but: string): void {
  const handle = number as never;
  const bytes = new Uint8Array(8).fill(0xff);
  const closed = native.fence(noHandle, 0);
  if (but !== 'region') {
    assert.equal(native.traits(handle), undefined);
    if (typeof number === 'number') {
      assert.equal(new Singles(handle).store8(0, 1), false);
      assert.equal(answers[Field.status], closed);
      assert.equal(new Singles(handle).load64(0, false), undefined);
    }
    assert.equal(native.inPlace(handle), undefined);
    assert.equal(native.write(handle, 0, bytes), closed);
    assert.equal(native.fence(handle, 0), closed);
    assert.equal(native.timeStages(handle, true), false);
    assert.equal(native.counts(handle), undefined);
    assert.ok(typeof native.createQueue(handle, 16, 4096, 0, false, () => undefined) === 'number');
    native.close(handle, true);
  }
  if (but !== 'queue') {
    assert.equal(native.submit(handle, 0, 1), closed);
    assert.equal(native.holdSource(handle, memoryId(allocBuffer(8).buffer) as number), 0);
    native.drain(handle, 0, 1, 0, false);
    native.stop(handle, 0);
    native.releaseSource(handle, 1);
    assert.equal(native.readSource(handle, 1, 0, bytes), false);
    native.closeQueue(handle);
  }
  if (but !== 'signal') {
    native.signalKeepAlive(handle, false);
    native.signalClose(handle);
  }
  if (but !== 'descriptor') {
    assert.equal(native.vfio.pwrite(handle, 0n, bytes), -EBADF);
    assert.equal(native.vfio.resetDevice(handle), -noDescriptor);
    assert.equal(native.vfio.close(handle), -EBADF);
  }
  if (but !== 'counts') native.forget(handle);
}

test('the number of one kind of thing reaches nothing as another kind', (t) => {
  const path = temporaryFile(t, 4096);
  const region = emulated();
  const queue = queueOn(region);
  const counts = native.counts(region) as Handle<'counts'>;
  const told = signal();
  const file = native.vfio.open(path, false);
  const device = native.vfio.open(path, true);
  assert.equal(new Set<number>([region, queue, counts, told, file, device]).size, 6, 'one space of numbers for all');
  useAsAll(region, 'region');
  useAsAll(queue, 'queue');
  useAsAll(counts, 'counts');
  useAsAll(told, 'signal');
  useAsAll(file, 'descriptor');
  useAsAll(device, 'descriptor');
  assert.equal(new Singles(region).store8(0, 7), true);
  assert.equal(new Singles(region).load8(0), 7);
  assert.equal(native.submit(queue, 0, 0), undefined);
  assert.equal(native.stats(counts, new Float64Array(16)), false);
  for (const one of [file, device]) assert.equal(native.vfio.pwrite(one, 0n, new Uint8Array(8)), 8);
  native.closeQueue(queue);
  native.close(region, true);
  native.forget(counts);
  native.signalClose(told);
  for (const one of [file, device]) assert.equal(native.vfio.close(one), 0);
  for (const gone of [region, queue, counts, told, file, device]) useAsAll(gone, 'nothing');
});

test('what is no number of anything reaches nothing', () => {
  for (const nothing of [
    0,
    -1,
    0.5,
    1.5,
    Number.NaN,
    Infinity,
    -Infinity,
    2 ** 32,
    2 ** 53,
    2 ** 64,
    '1',
    null,
    {},
    1n,
  ]) {
    useAsAll(nothing as number, 'nothing');
  }
});

test('a number never comes back, with things of other kinds open or opened in between', (t) => {
  const path = temporaryFile(t, 4096);
  const kept = Array.from({ length: 300 }, emulated);
  let last = 0;
  const later = (number: number): void => {
    assert.ok(number > last, `${number} after ${last}`);
    last = number;
  };
  for (let i = 0; i < scaled(30_000); i++) {
    const region = emulated();
    later(region);
    native.close(region, true);
    const file: DescriptorHandle = native.vfio.open(path, i % 2 === 0);
    later(file);
    assert.equal(native.vfio.close(file), 0);
    if (i % 100 !== 0) continue;
    const old = kept[i % kept.length] as RegionHandle;
    native.close(old, true);
    kept[i % kept.length] = emulated();
    later(kept[i % kept.length] as RegionHandle);
    assert.equal(native.traits(old), undefined);
  }
  for (const region of kept) {
    assert.equal(native.traits(region)?.size, 4096);
    native.close(region, true);
  }
});
