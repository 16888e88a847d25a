// Recordings that a test makes, and recordings that no recorder would make.
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { emulate, type RecordedOperation, type RecordOptions, type Region, readRecording, record } from 'ismio';
import { ByteWriter } from '../../src/record/bytes.js';
import { Draft } from '../../src/record/draft.js';
import { RecordingFile } from '../../src/record/file.js';
import { blockTypes, type End, records } from '../../src/record/format.js';
import { temporaryFolder } from './files.js';

/** Records what `act` does to an emulated region; the recording's path. */
export async function recorded(
  test: TestContext,
  act: (region: Region) => void | Promise<void>,
  options: RecordOptions & { size?: number } = {},
): Promise<string> {
  const { size = 4096, ...rest } = options;
  const path = join(temporaryFolder(test), 'recording');
  using region = emulate({ size, name: 'window' });
  const recorder = record(region, path, rest);
  await act(region);
  recorder.close();
  return path;
}

/** What the recording lists, without the times. */
export async function listOf(path: string): Promise<Omit<RecordedOperation, 'time'>[]> {
  const list: Omit<RecordedOperation, 'time'>[] = [];
  for await (const { time: _, ...operation } of readRecording(path)) list.push(operation);
  return list;
}

/** What goes into a block of operations by hand. */
export interface Content {
  control: (control: ByteWriter) => void;
  columns?: (columns: ByteWriter) => void;
  payload?: Uint8Array;
  operations?: number;
  batches?: number;
}

/** A file with good checksums, whatever it says. */
export function forged(
  test: TestContext,
  blocks: readonly (Content | { raw: Uint8Array; operations?: number })[],
  { metadata, end }: { metadata?: unknown; end?: unknown } = {},
): string {
  const path = join(temporaryFolder(test), 'forged');
  const file = new RecordingFile(
    path,
    metadata ?? { version: '0', started: '2026-01-01T00:00:00.000Z', payload: true },
    false,
  );
  let [operations, batches] = [0, 0];
  for (const block of blocks) {
    const parts = 'raw' in block ? [block.raw] : partsOf(block);
    file.add(new Draft(blockTypes.operations, parts, block.operations ?? 0));
    operations += block.operations ?? 0;
    batches += ('batches' in block && block.batches) || 0;
  }
  file.finish((end ?? { operations, bytes: 0, batches, nanoseconds: 0, failures: [] }) as End);
  file.close();
  return path;
}

function partsOf({ control, columns, payload }: Content): Uint8Array[] {
  const writers = [new ByteWriter(64), new ByteWriter(64), new ByteWriter(64)] as const;
  control(writers[0]);
  columns?.(writers[1]);
  writers[2].append(payload ?? new Uint8Array(0));
  const lengths = new DataView(new ArrayBuffer(16));
  for (const [index, writer] of writers.entries()) {
    writer.align();
    lengths.setUint32(4 * index, writer.length, true);
  }
  return [new Uint8Array(lengths.buffer), ...writers.map((writer) => writer.written)];
}

/** Defines region 0, of so many bytes. */
export function defineRegion(control: ByteWriter, size = 4096, traits = 2): void {
  control.byte(records.region);
  for (const field of [0, size, traits, 4096, 4096]) control.varint(field);
  control.text('forged');
}

/** Defines queue 0 on region 0. */
export function defineQueue(control: ByteWriter, depth = 16): void {
  control.byte(records.queue);
  for (const field of [0, 0, depth, 0, 0]) control.varint(field);
}

/** Puts these varints behind a first byte. */
export function say(control: ByteWriter, first: number, ...fields: readonly number[]): void {
  control.byte(first);
  for (const field of fields) control.varint(field);
}
