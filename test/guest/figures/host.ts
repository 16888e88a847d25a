// A figure of the host's own processor: how long it takes to wake up makes no sense on an emulated one.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildFloors, type Floors, us } from './floors.js';
import { latency } from './latency.js';

const folder = mkdtempSync(join(tmpdir(), 'ismio-guest-figures-'));
let floors: Floors;

before(async () => {
  floors = await buildFloors(folder);
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('host: from an eventfd to a handler it takes less than 60 us more than to a C loop that polls', async () => {
  const { handler, c } = await latency(floors.program, 500, 5);
  console.log(`figure: host, eventfd to handler, p50: ${us(handler)}; to a C loop that polls: ${us(c)}`);
  assert.ok(handler - c < 60_000, `${us(handler - c)} more`);
});
