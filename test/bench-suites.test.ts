// The table of workloads: well formed, and each does exactly what it says, as the region's own counters tell.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadEngine } from '../bench/engine.js';
import { loadFloors } from '../bench/floors.js';
import { probes } from '../bench/probes/index.js';
import { loadWorkloads, suites } from '../bench/suites/index.js';
import { makeWindow, type OwnWindow } from '../bench/window.js';
import type { Counters, Running, Workload } from '../bench/workload.js';
import { packageRoot } from './support/child.js';

const workloads = await loadWorkloads();
const engine = await loadEngine(packageRoot);

/** Opens in a window of its own, which goes when `use` has ended. */
async function opened<T>(
  { windowBytes }: Workload,
  open: (window: OwnWindow) => Running | Promise<Running>,
  use: (running: Running) => Promise<T>,
): Promise<T> {
  const window = makeWindow(windowBytes);
  try {
    const running = await open(window);
    try {
      return await use(running);
    } finally {
      await running.close();
    }
  } finally {
    window.remove();
  }
}

function difference(after: Counters, before: Counters): Record<string, number> {
  const names = Object.keys(after) as (keyof Counters)[];
  return Object.fromEntries(names.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)]));
}

test('every name is there once, and says suite, what and how', () => {
  const names = [...workloads, ...probes].map(({ name }) => name);
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
  for (const name of names) assert.match(name, /^[A-Za-z0-9.-]+\/[A-Za-z0-9.-]+\/[A-Za-z0-9.-]+$/);
});

test('every title is for people, without a full stop', () => {
  for (const { title } of [...workloads, ...probes]) assert.match(title, /^\S.*[^.\s]$/);
});

test('a handful is quick, of every suite that a comparison looks at', () => {
  const quick = workloads.filter(({ quick }) => quick === true);
  assert.ok(quick.length >= 8 && quick.length <= 20, String(quick.length));
  const of = new Set(quick.map(({ name }) => name.split('/')[0]));
  assert.deepEqual([...of].sort(), ['access', 'drain', 'planner', 'queue']);
});

test('points of a curve share their unit and are at different places', () => {
  const curves = new Map<string, { at: number; unit: string }[]>();
  for (const { scale } of workloads) {
    if (scale !== undefined) curves.set(scale.curve, [...(curves.get(scale.curve) ?? []), scale]);
  }
  assert.ok(curves.size > 5);
  for (const [curve, points] of curves) {
    assert.equal(new Set(points.map(({ unit }) => unit)).size, 1, curve);
    assert.equal(new Set(points.map(({ at }) => at)).size, points.length, curve);
  }
});

test('two batches count exactly twice what one counts, and move the bytes that are said', async (t) => {
  for (const workload of workloads) {
    const missing = workload.missing?.(engine) ?? null;
    if (missing !== null) {
      t.diagnostic(`${workload.name}: ${missing}`);
      continue;
    }
    await opened(
      workload,
      (window) => workload.open(engine, window),
      async (running) => {
        const counters = running.counters ?? (() => null);
        const start = counters();
        await running.batch();
        const one = counters();
        await running.batch();
        await running.batch();
        const three = counters();
        if (start === null || one === null || three === null) return;
        const first = difference(one, start);
        assert.equal(first['bytes'], workload.bytes, workload.name);
        const doubled = Object.fromEntries(Object.entries(first).map(([name, count]) => [name, 2 * count]));
        assert.deepEqual(difference(three, one), doubled, workload.name);
      },
    );
  }
});

/** Loads, stores and store blocks of one batch, worked out by hand. */
const issued: Readonly<Record<string, readonly [number, number, number]>> = {
  'planner/plan-64KiB/strict-128': [0, 0, 0],
  // 64 KiB from offset 4: 4 bytes, 124 - 4 + 128 * 511 bytes in 512 blocks, 4 bytes; eight times
  'planner/write-64KiB/strict-128': [0, 16, 8 * 512],
  'queue/stores-8B/adjacent': [0, 0, (4096 * 8) / 4096],
  'queue/stores-8B/scattered': [0, 4096, 0],
  'queue/blocks-4KiB/memory': [0, 0, 256],
  'queue/writes-64B/staged': [0, 0, (1024 * 64) / 4096],
  'drain/blocks-4KiB/memory': [0, 0, 256],
  'access/store64/device': [0, 1024, 0],
  'access/load64/device': [1024, 0, 0],
  'access/block-4KiB/emulated': [0, 0, 256],
  'access/write-4KiB/memory': [0, 0, 256],
  'access/read-4KiB/device': [(256 * 4096) / 8, 0, 0],
};

test('the quick ones issue the device operations that one works out by hand', async () => {
  const quick = workloads.filter(({ quick }) => quick === true);
  assert.deepEqual(quick.map(({ name }) => name).sort(), Object.keys(issued).sort());
  for (const workload of quick) {
    await opened(
      workload,
      (window) => workload.open(engine, window),
      async (running) => {
        const before = running.counters?.() as Counters;
        await running.batch();
        const counted = difference(running.counters?.() as Counters, before);
        const { loads, stores, storeBlocks } = counted;
        assert.deepEqual([loads, stores, storeBlocks], issued[workload.name], workload.name);
      },
    );
  }
});

test('every floor opens beside its subject and does its batch', async (t) => {
  const floors = loadFloors();
  for (const workload of workloads) {
    const { floor, missing } = workload;
    if (floor === undefined || (missing?.(engine) ?? null) !== null) continue;
    if (floor.native === true && typeof floors === 'string') {
      t.diagnostic(`${workload.name}: ${floors}`);
      continue;
    }
    assert.ok(floor.operations > 0);
    await opened(
      workload,
      (window) => floor.open(window, floors as Exclude<typeof floors, string>, engine),
      async (running) => {
        await running.batch();
        const counters = running.counters?.();
        if (counters !== undefined) assert.ok(counters.bytes > 0, workload.name);
      },
    );
  }
});

/** A window before anything is stored: no workload stores such a word, because none has the highest bit. */
const untouched = Uint32Array.from({ length: 1 << 20 }, (_, i) => 0x80000000 | i);

const same = (one: Uint32Array, other: Uint32Array): boolean =>
  Buffer.from(one.buffer).equals(Buffer.from(other.buffer));

/** What a batch leaves in the window and in the ordinary memory, if both begin with another word at each place. */
async function left({ windowBytes }: Workload, open: (window: OwnWindow) => Running | Promise<Running>) {
  const window = makeWindow(windowBytes);
  const ordinary = new Uint32Array(window.ordinary.buffer);
  try {
    const running = await open(window);
    writeFileSync(window.path, untouched.subarray(0, windowBytes / 4));
    ordinary.set(untouched.subarray(0, ordinary.length).map((word) => word & 0xffff));
    await running.batch();
    await running.close();
    return { window: new Uint32Array(new Uint8Array(readFileSync(window.path)).buffer), ordinary: ordinary.slice() };
  } finally {
    window.ordinary.fill(0x5a);
    window.remove();
  }
}

/**
 * Where there is nothing to compare: what is emulated has no file, the floors of 'floor/' move nothing, those of
 * 'queue/stores-8B/' fill entries of a ring, and a batch of 256 MiB is too long for a test.
 */
const besides = /emulated|^floor\/|^queue\/stores-8B\/|^drain\/write-256MiB\//;

test('a floor touches the same places as its subject, and the same memory', async (t) => {
  const floors = loadFloors();
  for (const workload of workloads) {
    const { name, floor, missing, windowBytes } = workload;
    if (floor === undefined || windowBytes === 0 || besides.test(name) || (missing?.(engine) ?? null) !== null)
      continue;
    if (floor.native === true && typeof floors === 'string') {
      t.diagnostic(`${name}: ${floors}`);
      continue;
    }
    const one = await left(workload, (window) => workload.open(engine, window));
    const other = await left(workload, (window) =>
      floor.open(window, floors as Exclude<typeof floors, string>, engine),
    );
    // Other ways to do it have their words in an array of bytes: the places are the same, the words are not.
    const places = (words: Uint32Array): Uint32Array => words.map((word, i) => Number(word !== untouched[i]));
    const what = name.startsWith('peers/') ? places : (words: Uint32Array): Uint32Array => words;
    assert.ok(same(what(one.window), what(other.window)), `${name}: other places, or other bytes there`);
    assert.ok(same(one.ordinary, other.ordinary), `${name}: other memory`);
  }
});

test('another query makes another copy of every function', async () => {
  const [here] = await loadWorkloads('', suites.slice(0, 1));
  const [there] = await loadWorkloads('?arm=there', suites.slice(0, 1));
  assert.equal(here, workloads[0]);
  assert.equal(there?.name, here?.name);
  assert.notEqual(there?.open, here?.open);
});

test('a suite loads nothing that has seen the objects of the engine', () => {
  const folder = new URL('./', suites[0]);
  const modules = readdirSync(folder).filter((name) => name.endsWith('.js') && name !== 'index.js');
  assert.ok(modules.length > suites.length);
  for (const name of modules) {
    const text = readFileSync(fileURLToPath(new URL(name, folder)), 'utf8');
    const imported = [...text.matchAll(/^import .* from '(.*)';$/gm)].map(([, from]) => from as string);
    for (const from of imported) assert.match(from, /^(node:|\.\/native-floor\.js$)/, name);
  }
});
