// Streams over the real fabric with its adversary: all bytes in order, or a stable error where some are missing.
// ISMIO_SEED=.. runs one seed again; ISMIO_ADVERSARIES=.. says how many are run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdversaryOptions, IsmStream, Mischief, StreamOptions } from 'ismio/ism';
import { fabricRoads, type Pair, pairOn, type Road } from './support/ism.js';
import { sequence } from './support/random.js';
import { scaled } from './support/scale.js';

const only = process.env['ISMIO_SEED'];
const count = Number(process.env['ISMIO_ADVERSARIES'] ?? scaled(4));
const seeds = only === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(only)];

/** Slow beats: what a lost signal leaves to the slow timer takes seconds, and is counted as rescued. */
const calm = { ring: 4096, heartbeat: 10_000, allowHalfOpen: true } as const;
/** Fast ones: who dies in silence is missed soon. */
const quick = { ...calm, heartbeat: 200, timeout: 1000 } as const;

/** Codes that a stream, or an attempt to open one, may end with. */
const stable: readonly string[] = [
  'ERR_ISMIO_ISM_PEER_DIED',
  'ERR_ISMIO_ISM_ABORTED',
  'ERR_ISMIO_ISM_REFUSED',
  'ERR_ISMIO_ISM',
];

/** What one end saw. */
interface Seen {
  readonly came: Buffer;
  /** The code of its error; null where it closed without. */
  readonly failed: string | null;
}

/** Sends all, ends, and reads to the end, or to an error. */
async function exchange(stream: IsmStream, sent: Buffer, draw: (limit: number) => number): Promise<Seen> {
  const parts: Buffer[] = [];
  let failed: string | null = null;
  const closed = new Promise<void>((resolve) => stream.once('close', resolve));
  stream.on('error', (error: Error & { code: string }) => {
    failed = error.code;
  });
  stream.on('data', (part: Buffer) => parts.push(part));
  for (let at = 0; at < sent.length && !stream.destroyed; ) {
    const length = 1 + draw([8, 200, 5000][draw(3)] as number);
    const hasRoom = stream.write(sent.subarray(at, at + length));
    at += length;
    if (!hasRoom) await Promise.race([new Promise((resolve) => stream.once('drain', resolve)), closed]);
    else if (draw(4) === 0) await new Promise(setImmediate);
  }
  if (!stream.destroyed) stream.end();
  await closed;
  return { came: Buffer.concat(parts), failed };
}

function bytes(draw: (limit: number) => number): Buffer {
  return Buffer.from(Uint8Array.from({ length: draw(30_000) }, () => draw(256)));
}

interface Outcome {
  readonly near: Seen;
  readonly far: Seen;
  readonly out: Buffer;
  readonly back: Buffer;
  readonly rescued: number;
}

const none: Seen = { came: Buffer.alloc(0), failed: null };

/** A stream at a port of its own. Where it does not come about, `near` has why. */
async function oneStream({ a, b }: Pair, seed: number, port: number, options: StreamOptions): Promise<Outcome> {
  const draw = sequence(seed);
  const [out, back] = [bytes(draw), bytes(draw)];
  let rescued = 0;
  const run = async (stream: IsmStream, sent: Buffer): Promise<Seen> => {
    const seen = await exchange(stream, sent, draw);
    rescued += stream.rescued;
    return seen;
  };
  let far = Promise.resolve(none);
  using _listener = b.listen(port, options, (stream) => {
    far = run(stream, back);
  });
  const near = await a.connect(b.gid, port, options).then(
    (stream) => run(stream, out),
    ({ code }: { code: string }): Seen => ({ ...none, failed: code }),
  );
  return { near, far: await far, out, back, rescued };
}

/** For each seed a fabric of its own, and streams on it that go on at once. */
async function each(
  road: Road,
  adversary: Omit<AdversaryOptions, 'seed'>,
  options: StreamOptions,
  check: (outcome: Outcome) => void,
): Promise<Record<Mischief, number>> {
  const all: Record<string, number> = {};
  for (const seed of seeds) {
    try {
      await using pair = await pairOn(road, {}, { adversary: { seed, ...adversary } });
      const streams = [1, 2, 3].map((port) => oneStream(pair, 10 * seed + port, port, options));
      for (const outcome of await Promise.all(streams)) check(outcome);
      for (const [name, times] of Object.entries(pair.fabric.stats().adversary ?? {})) {
        all[name] = (all[name] ?? 0) + times;
      }
    } catch (error) {
      throw new Error(`ISMIO_SEED=${seed} failed`, { cause: error });
    }
  }
  return all as Record<Mischief, number>;
}

function checkWhole({ near, far, out, back }: Outcome): void {
  assert.deepEqual([near.failed, far.failed], [null, null]);
  assert.ok(far.came.equals(out) && near.came.equals(back));
}

/**
 * An end that closed without an error has all bytes of the other. That one may still fail behind it, and then has what came first:
 * to close, it is enough that the bytes lie in the peer's memory.
 */
function checkFailed({ near, far, out, back }: Outcome): void {
  const ends = `near ended with ${near.failed}, far ${far === none ? 'never began' : `with ${far.failed}`}`;
  for (const [seen, sent] of [
    [near, back],
    [far, out],
  ] as const) {
    assert.ok(seen.failed === null || stable.includes(seen.failed), ends);
    assert.ok(sent.subarray(0, seen.came.length).equals(seen.came), 'what came is what was sent first');
    if (seen !== none && seen.failed === null) assert.equal(seen.came.length, sent.length, ends);
  }
  if (far === none || far.came.length < out.length) assert.ok(near.failed ?? far.failed, ends);
}

for (const road of fabricRoads) {
  test(`${road}: with late, joined and overtaking signals and busy moves, each byte comes and no wake-up is lost`, async () => {
    const done = await each(
      road,
      { delay: 300, coalesce: 200, reorder: 200, busy: 100, latest: 4 },
      calm,
      (outcome) => {
        checkWhole(outcome);
        assert.equal(outcome.rescued, 0);
      },
    );
    assert.ok(done.delay > 0 && done.coalesce > 0 && done.reorder > 0 && done.busy > 0, JSON.stringify(done));
  });

  test(`${road}: where moves fail, an end has all bytes in order or an error`, async () => {
    let failed = 0;
    const done = await each(road, { fail: 15, delay: 100, latest: 4 }, quick, (outcome) => {
      checkFailed(outcome);
      if (outcome.near.failed !== null) failed++;
    });
    assert.ok(done.fail > 0 && (failed > 0 || only !== undefined), `${failed} streams failed`);
  });

  test(`${road}: where a function dies between bytes and cursor, so do its streams`, async () => {
    const done = await each(road, { kill: 15, coalesce: 100, latest: 4 }, quick, checkFailed);
    assert.ok(done.kill > 0 || only !== undefined);
  });
}

test('signals that are later than the slow timer waits for them are made up for and counted, and no byte is lost', async () => {
  let rescued = 0;
  await each('device.open()', { coalesce: 600, latest: 300 }, { ...calm, heartbeat: 250 }, (outcome) => {
    checkWhole(outcome);
    rescued += outcome.rescued;
  });
  assert.ok(rescued > 0);
});
