// Copies of the stream's code with one rule broken, for tests that have to notice.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { End } from '../../src/ism/stream/end.js';
import { packageRoot } from './child.js';

/** A fault: in this file of `src/ism/stream`, as it was compiled, this text instead of that. */
export interface Fault {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The end with a fault. */
export async function mutant({ file, from, to }: Fault): Promise<typeof End> {
  const folder = mkdtempSync(join(tmpdir(), 'ismio-mutant-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    mkdirSync(join(folder, 'ism'));
    for (const part of ['ism/stream', 'support']) {
      cpSync(join(packageRoot, 'dist/src', part), join(folder, part), { recursive: true });
    }
    const path = join(folder, 'ism/stream', file);
    const text = readFileSync(path, 'utf8');
    assert.equal(text.split(from).length, 2, `${file} has '${from}' once`);
    writeFileSync(path, text.replace(from, to));
    const module = (await import(pathToFileURL(join(folder, 'ism/stream/end.js')).href)) as { End: typeof End };
    return module.End;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
