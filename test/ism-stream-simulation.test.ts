// Schedules of two ends under an adversary: no byte lost, none twice, none out of order, no wake-up lost, nobody hangs.
// ISMIO_SEED=.. runs one schedule again; ISMIO_SCHEDULES=.. says how many are run: 100000 in .ci/run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { End } from '../src/ism/stream/end.js';
import { Simulation } from './support/ism-simulation.js';
import { scaled } from './support/scale.js';

const only = process.env['ISMIO_SEED'];
const schedules = Number(process.env['ISMIO_SCHEDULES'] ?? scaled(10_000));

function simulate(seed: number): ReturnType<Simulation['run']> {
  try {
    return new Simulation(seed, End).run();
  } catch (error) {
    throw new Error(`the schedule of ISMIO_SEED=${seed} failed`, { cause: error });
  }
}

test('every schedule delivers each byte once and in order, without a rescued wake-up, and ends', (context) => {
  const seeds = only === undefined ? Array.from({ length: schedules }, (_, index) => index + 1) : [Number(only)];
  const begun = performance.now();
  let operations = 0;
  let bytes = 0;
  for (const seed of seeds) {
    const outcome = simulate(seed);
    operations += outcome.operations;
    bytes += outcome.bytes;
  }
  const seconds = (performance.now() - begun) / 1000;
  context.diagnostic(
    `${seeds.length} schedules, ${Math.round(seeds.length / seconds)} a second, ${operations} operations, ${bytes} bytes`,
  );
  assert.ok(bytes > 0);
});
