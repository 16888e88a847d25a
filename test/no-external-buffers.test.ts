// A runtime that lets no addon make an ArrayBuffer over memory of its own, as Electron does since its version 21. None is to be had
// here; but the dynamic linker tells an audit library of every function that the addon is given (rtld-audit(7)), and takes
// another in its place: one that answers as such a runtime does. The addon is the one that is used everywhere else.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Ended, runModule } from './support/child.js';
import { temporaryFile } from './support/files.js';

const audit = `
  #define _GNU_SOURCE
  #include <link.h>
  #include <string.h>
  /* napi_no_external_buffers_allowed, in Node.js src/js_native_api_types.h */
  static int refuse(void) { return 22; }
  unsigned int la_version(unsigned int version) { return version; }
  unsigned int la_objopen(struct link_map *map, Lmid_t space, uintptr_t *cookie) { return LA_FLG_BINDTO | LA_FLG_BINDFROM; }
  uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned int number, uintptr_t *from, uintptr_t *to, unsigned int *flags, const char *name) {
    return strcmp(name, "napi_create_external_arraybuffer") == 0 ? (uintptr_t)refuse : symbol->st_value;
  }`;

const folder = mkdtempSync(join(tmpdir(), 'ismio-external-'));
after(() => rmSync(folder, { recursive: true }));

/** Why there is no such library; false where there is. */
function build(): string | false {
  if (process.env['S390X_WRAPPER']) return 'under a CPU emulator the linker would be the emulated one';
  const source = join(folder, 'audit.c');
  writeFileSync(source, audit);
  const { status, error } = spawnSync('cc', ['-shared', '-fPIC', '-w', '-o', join(folder, 'audit.so'), source]);
  if (error !== undefined) return 'there is no C compiler';
  return status !== 0 && 'the C library has no audit interface';
}

const skip = build();

/** What each of these says: its value, or its code and message. */
function runRefused(...steps: readonly string[]): Promise<Ended> {
  return runModule(
    `import { allocBuffer, emulate, mapFile, Pool } from 'ismio';
    const region = emulate({ size: 65536 });
    const tell = async (act) => {
      try { console.log(await act()); } catch ({ name, code, message }) { console.log(name, code, message); }
    };
    ${steps.map((step) => `await tell(async () => { ${step} });`).join('\n')}`,
    { env: { LD_AUDIT: join(folder, 'audit.so') } },
  );
}

const refusal = /^IsmioError ERR_ISMIO_NO_EXTERNAL_BUFFERS .*allows no external buffers/;

describe('where a runtime allows no external buffers', { skip }, () => {
  test('allocBuffer and queues say so, and not that memory is short', async () => {
    const { stdout, stderr } = await runRefused('allocBuffer(4096)', 'region.queue()');
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, 2, stderr);
    for (const line of lines) assert.match(line, refusal);
  });

  test('what a region does by itself works', async (t) => {
    const file = temporaryFile(t, 4096);
    const { code, stdout, stderr } = await runRefused(
      'region.store64(8, 5n); return region.load64(8);',
      'region.write(64, new Uint8Array(5000).fill(7)); const back = new Uint8Array(9); region.read(60, back); return back.join();',
      `const mapped = mapFile(${JSON.stringify(file)}); mapped.store64(8, 6n); return mapped.load64(8);`,
      'region.close(); return region.closed;',
    );
    assert.deepEqual([code, stdout, stderr], [0, '5n\n0,0,0,0,7,7,7,7,7\n6n\ntrue\n', '']);
  });

  test('a transfer of a pool is rejected with it, and the pool can be closed', async () => {
    const { code, stdout, stderr } = await runRefused(
      'const pool = globalThis.pool = new Pool({ threads: 1 }); await pool.write(region, 0, new Uint8Array(65536));',
      'await pool.close(); return pool.closed;',
    );
    const [refused = '', closed] = stdout.split('\n');
    assert.match(refused, refusal, stderr);
    assert.deepEqual([code, closed], [0, 'true'], stderr);
  });

  test('nothing of it is left: what was refused gives its memory back', async () => {
    const { stdout, stderr } = await runRefused(`
      const used = () => process.memoryUsage.rss();
      const before = used();
      for (let i = 0; i < 2000; i++) try { allocBuffer(2 ** 24); } catch {}
      for (let i = 0; i < 200; i++) try { region.queue({ bytes: 2 ** 24, depth: 2 ** 16 }); } catch {}
      return used() - before < 2 ** 26;`);
    assert.equal(stdout, 'true\n', stderr);
  });
});
