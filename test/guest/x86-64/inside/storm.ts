// Interrupts faster than anyone can take them: none is lost by count, and the event loop stays free.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openVfio } from 'ismio';
import { places } from '../machine.js';
import { edu } from './edu.js';
import { api } from './setting.js';
import { Turns } from './turns.js';

const storm = 100_000;
/** How many signals the kernel is asked for before the event loop gets its turn. */
const squall = 500;
/** The longest that a turn of the event loop may take, in milliseconds: two emulated processors on a busy machine. */
const patience = 1000;

test(`${api}: of ${storm} signals none is lost, and every turn of the event loop takes what there is`, async () => {
  using device = openVfio(places.edu, { api });
  const msi = device.irq('msi');
  msi.enable();
  let told = 0;
  let calls = 0;
  msi.on('interrupt', ({ count }) => {
    told += count;
    calls++;
  });
  const turns = new Turns();
  const began = performance.now();
  for (let i = 0; i < storm; i += squall) {
    for (let j = 0; j < squall; j++) msi.trigger();
    await new Promise(setImmediate);
  }
  while (told < storm) await pause(1);
  const milliseconds = performance.now() - began;
  const longest = turns.end();
  msi.disable();
  await pause(20);
  assert.equal(told, storm);
  assert.equal(msi.signalled, storm);
  assert.ok(longest < patience, `a turn of the event loop took ${ms(longest)}`);
  console.log(
    `storm, ${api}: ${storm} signals in ${ms(milliseconds)}, told in ${calls} calls, longest turn ${ms(longest)}`,
  );
});

test(`${api}: MSIs that edu sends from a batch on another thread leave the event loop free`, async () => {
  using device = openVfio(places.edu, { api });
  using bar = device.region(0);
  device.enableBusMaster();
  const msi = device.irq('msi');
  msi.enable();
  const queue = bar.queue({ depth: storm });
  while (queue.queued < storm) assert.ok(queue.store32(edu.raise, 1));
  const turns = new Turns();
  const completion = await queue.drain();
  const longest = turns.end();
  await pause(20);
  bar.store32(edu.acknowledge, 1);
  assert.equal(completion.stores, storm);
  // An MSI that arrives while the processor has not taken the one before is one with it: that is the processor's doing.
  assert.ok(msi.signalled > 0 && msi.signalled <= storm, String(msi.signalled));
  assert.ok(longest < patience, `a turn of the event loop took ${ms(longest)}`);
  console.log(`storm of MSIs, ${api}: ${storm} stores, ${msi.signalled} interrupts, longest turn ${ms(longest)}`);
});

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(1)} ms`;
}
