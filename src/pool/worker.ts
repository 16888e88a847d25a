// A worker of the pool. It holds a region only while it works on it, so a region that was closed is not kept alive.
import { setImmediate } from 'node:timers/promises';
import { receiveMessageOnPort } from 'node:worker_threads';
import { now, thisThread } from '../access/channels.js';
import { answers, native } from '../addon/binding.js';
import type { RegionHandle } from '../addon/handles.js';
import type { Answered } from '../addon/regions.js';
import { Field, statuses } from '../addon/wire.js';
import { adopt, type Region } from '../region/region.js';
import { IsmioError } from '../support/errors.js';
import { packed, packedResult } from './crossing.js';
import { shardStep, shardsOf } from './shards.js';
import {
  type Code,
  type CopyTask,
  claimAs,
  type RunContext,
  type RunOutcome,
  type RunTask,
  type ShardFailure,
  type ShardResult,
  type Task,
  type WriteTask,
} from './tasks.js';

/** Copies go through a buffer of this many bytes, or of a boundary window where that is more. */
const copyBytes = 256 * 1024;
const closed = statuses.indexOf('closed');

export default function work(task: Task): ShardResult | Promise<null> {
  if (!claimAs(task, 'begun')) {
    if (task.kind === 'run') task.port.close();
    return null;
  }
  if (task.kind === 'run') return run(task);
  const began = task.observed ? now() : 0;
  const failure = task.kind === 'copy' ? copy(task) : transfer(task);
  const seen = task.observed ? { began, ended: now(), thread: thisThread } : null;
  return failure === null && seen === null ? null : { failure, seen };
}

/** Calls `use` with the numbers of these regions, which are let go of again. */
function withRegions<T>(ids: readonly number[], use: (handles: readonly RegionHandle[]) => T): T | ShardFailure {
  const handles: RegionHandle[] = [];
  try {
    for (const id of ids) {
      const handle = native.attach(id);
      if (handle === undefined) return { answer: [closed], what: 'access', region: id, offset: 0, length: 0 };
      handles.push(handle);
    }
    return use(handles);
  } finally {
    for (const handle of handles) native.close(handle, false);
  }
}

function resultOf(status: Answered, failed: Omit<ShardFailure, 'answer'>): ShardFailure | null {
  return status === undefined ? null : { answer: Array.from(answers), ...failed };
}

function transfer(task: WriteTask): ShardFailure | null {
  const { kind, region, offset, length, bytes, position, staged, control, progress, slot } = task;
  return withRegions([region], ([handle]) => {
    const move = kind === 'write' ? native.writeShard : native.readShard;
    const status = move(handle as RegionHandle, offset, bytes, position, length, control, progress, slot, staged);
    return resultOf(status, { what: kind, region, offset, length });
  });
}

function copy(task: CopyTask): ShardFailure | null {
  const { source, sourceOffset, region, offset, length, control, progress, slot } = task;
  const part = new BigUint64Array(1);
  return withRegions([source, region], ([from, to]) => {
    // Cut where shards are cut: a part that ends elsewhere might leave a word that no store block carries.
    const step = shardStep(copyBytes, native.traits(to as RegionHandle)?.boundary ?? 1);
    const buffer = new Uint8Array(Math.min(length, step));
    for (const { offset: at, length: bytes } of shardsOf({ offset, length }, step)) {
      const done = at - offset;
      const place = sourceOffset + done;
      const reading = native.readShard(from as RegionHandle, place, buffer, 0, bytes, control, part, 0, false);
      if (reading !== undefined) {
        return resultOf(reading, { what: 'read', region: source, offset: sourceOffset + done, length: bytes });
      }
      const writing = native.writeShard(to as RegionHandle, offset + done, buffer, 0, bytes, control, part, 0, true);
      const written = writing === undefined ? bytes : (answers[Field.done] as number);
      Atomics.store(progress, slot, BigInt(done + written));
      if (writing !== undefined)
        return resultOf(writing, { what: 'write', region, offset: offset + done, length: bytes });
    }
    return null;
  });
}

type Runnable = (regions: readonly Region[], context: RunContext) => unknown;

async function run(task: RunTask): Promise<null> {
  const outcome = await outcomeOf(task);
  // A promise that the function has left rejected is told in this turn of the event loop: while the run it belongs to is on.
  await setImmediate();
  const { port } = task;
  try {
    port.postMessage(outcome);
  } catch (error) {
    port.postMessage({ how: 'uncloneable', crossing: packed(error) } satisfies RunOutcome);
  }
  port.close();
  return null;
}

async function outcomeOf(task: RunTask): Promise<RunOutcome> {
  const regions: Region[] = [];
  try {
    for (const id of task.regions) {
      const handle = native.attach(id);
      if (handle === undefined)
        throw new IsmioError('ERR_ISMIO_CLOSED', 'a region was closed before a worker got to it');
      regions.push(adopt(handle, false));
    }
    const { message: args } = receiveMessageOnPort(task.port) as { message: readonly unknown[] };
    const runnable = await load(task.code);
    const context: RunContext = { args, stopped: () => Atomics.load(task.control, 0) !== 0 };
    const result = await runnable(regions, context);
    return returned(result);
  } catch (error) {
    return { how: 'threw', crossing: packed(error) };
  } finally {
    for (const region of regions) region.close();
  }
}

function returned(result: unknown): RunOutcome {
  try {
    return { how: 'returned', crossing: packedResult(result) };
  } catch (error) {
    return { how: 'uncloneable', crossing: packed(error) };
  }
}

async function load(code: Code): Promise<Runnable> {
  if ('text' in code) return new Function(`return (${code.text})`)() as Runnable;
  const module = (await import(code.url)) as { default?: unknown };
  if (typeof module.default !== 'function') throw new TypeError(`${code.url} has no function as its default export`);
  return module.default as Runnable;
}
