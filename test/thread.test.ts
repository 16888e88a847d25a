// What belongs to the thread that made it cannot be posted to another: it would come out there as an object that looks like it
// and has no methods.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import ts from 'typescript';
import { allocBuffer } from '../src/access/memory.js';
import { Pool } from '../src/pool/pool.js';
import { Recorder } from '../src/record/recorder.js';
import { emulate } from '../src/region/open.js';
import { openVfio } from '../src/vfio/open.js';
import { exported } from './support/exports.js';
import { interruptedFunction, StandInKernel } from './support/kernel.js';

const refusal = { name: 'DataCloneError', message: /thread that made it.*Pool/ };

/** Whatever of the package is an object with methods, by the name of its class. */
function makeAll(t: TestContext): Record<string, object> {
  const kernel = StandInKernel.install(t, { functions: [interruptedFunction] });
  const device = kernel.closing(openVfio(interruptedFunction.bdf, kernel.paths));
  const region = emulate({ size: 64 });
  const pool = new Pool({ threads: 1 });
  const path = join(tmpdir(), `ismio-thread-${process.pid}.ismrec`);
  const recorder = new Recorder(path);
  t.after(async () => {
    recorder.close();
    rmSync(path);
    region.close();
    await pool.close();
  });
  const irq = device.irq('msi');
  return {
    Region: region,
    Queue: region.queue(),
    Reservation: region.queue().reserve(0, 8) as object,
    Pool: pool,
    Recorder: recorder,
    VfioDevice: device,
    ConfigSpace: device.config,
    VfioIrq: irq,
    VfioVector: irq.vector(0),
    DmaMapping: device.dmaMap(allocBuffer(4096)),
  };
}

describe('what belongs to the thread that made it', () => {
  test('is refused when it is posted, as is whatever has it in it', (t) => {
    for (const [name, one] of Object.entries(makeAll(t))) {
      for (const posted of [one, { one }, [one], new Map([[name, one]])]) {
        assert.throws(() => structuredClone(posted), refusal, name);
      }
    }
  });

  test('is every class that the package exports, but for its error', (t) => {
    const classes = exported().filter(({ flags }) => flags & ts.SymbolFlags.Class);
    const names = classes.map(({ name }) => name).filter((name) => name !== 'IsmioError');
    const made = makeAll(t);
    const others = names.filter((name) => !(name in made));
    assert.deepEqual(others, []);
    assert.ok(names.length > 5);
  });
});
