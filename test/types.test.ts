// The declarations as a program meets them that checks those of its libraries, too (skipLibCheck off, tsc's default).
// .ci/check-package.sh does the same with the least TypeScript that works.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { packageRoot } from './support/child.js';
import { temporaryFolder } from './support/files.js';

const program = `
const region: Region = emulate({ size: 4096 });
const bytes: Uint8Array = allocBuffer(8);
const pool = new Pool({ threads: 1 });
pool.write(region, 0, bytes, { signal: new AbortController().signal }).then(({ shards }) => shards.toFixed());
pool.run(([one]) => one!.size, { regions: [region] }).then((size: number) => size);
const like: RegionLike = region;
const info: RecordingInfo | null = null;
const path: string = record(region, 'boot.ismrec').close().path;
void [like.load32(0), info, path];
try {
  region.close();
} catch (error) {
  if (isIsmioError(error, 'ERR_ISMIO_DEVICE')) {
    const code: 'ERR_ISMIO_DEVICE' = error.code;
    console.log(code, error.deviceStatus);
  }
}
// @ts-expect-error bytes are no number; they would be anything where a declaration is not understood
const none: number = allocBuffer(8);
// @ts-expect-error there is no such code
isIsmioError(none, 'ERR_ISMIO_NONE');
`;
const names = `
import { allocBuffer, emulate, isIsmioError, Pool, type Region, type RegionLike } from 'ismio';
import { record, type RecordingInfo } from 'ismio/record';
import 'ismio/record/auto';
`;

for (const module of ['node16', 'nodenext']) {
  test(`a module and CommonJS compile under module ${module}`, async (t) => {
    const folder = temporaryFolder(t);
    const modules = join(folder, 'node_modules');
    mkdirSync(modules);
    symlinkSync(packageRoot, join(modules, 'ismio'));
    symlinkSync(join(packageRoot, 'node_modules', '@types'), join(modules, '@types'));
    const files = { 'use.mts': names, 'use.cts': `import ismio = require('ismio'); void ismio;${names}` };
    for (const [name, first] of Object.entries(files)) writeFileSync(join(folder, name), first + program);
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--types', 'node', '--module', module];
    const tsc = join(packageRoot, 'node_modules', 'typescript', 'bin', 'tsc');
    const said = await promisify(execFile)(process.execPath, [tsc, ...options, ...Object.keys(files)], {
      cwd: folder,
    }).catch((error: { stdout: string }) => error);
    assert.equal(said.stdout, '');
  });
}

test('declarations name no dependency, and nothing that TypeScript before 5.7 does not know', () => {
  const folder = join(packageRoot, 'dist', 'types');
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.d.ts'));
  assert.ok(paths.includes('ismio.d.ts') && paths.includes('cjs/record.d.ts'));
  for (const path of paths) {
    const text = readFileSync(join(folder, path), 'utf8').replaceAll(/\/\*.*?\*\//gs, '');
    for (const [, from] of text.matchAll(/from ['"]([^'"]+)['"]/g)) assert.match(from as string, /^(\.|node:)/, path);
    assert.doesNotMatch(text, /Array<(ArrayBuffer|SharedArrayBuffer|ArrayBufferLike)>/, path);
  }
});
