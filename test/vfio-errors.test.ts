// Error reports of IBM Z, on a kernel that stands in for Linux: no machine that makes them was at hand.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { type Ism, openIsm } from '../src/ism/driver/ism.js';
import { createFabric } from '../src/ism/fabric/fabric.js';
import { IsmioError } from '../src/support/errors.js';
import { openVfio } from '../src/vfio/open.js';
import type { ZpciErrorReport } from '../src/vfio/zpci-errors.js';
import { throwsCode } from './support/errors.js';
import { noMapping, type StandInFunction, StandInKernel } from './support/kernel.js';
import { irqFlags, type ZpciDescription } from './support/kernel-structs.js';

const bdf = '0000:00:04.0';
const errIndex = 3;
const zpci: ZpciDescription = { capabilityVersion: 3, maxStoreBlock: 4096, functionType: 5 };
const errIrq = { index: errIndex, count: 1, flags: irqFlags.eventfd };

/** struct zpci_ccdf_err, every field of it different. */
function ccdf(eventCode: number, length = 32): Uint8Array {
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(4, 0x8000_0377);
  view.setUint32(8, 0x0000_0401);
  view.setUint32(12, (0xa << 28) | (0xbcd << 16) | (0xef << 8) | 0b10);
  view.setBigUint64(16, 0xfedc_ba98_7654_3000n);
  view.setUint16(30, eventCode);
  return new Uint8Array(view.buffer);
}

function openOn(t: TestContext, given: Partial<StandInFunction>) {
  const kernel = StandInKernel.install(t, { functions: [{ bdf, irqs: [errIrq], ...given }] });
  return { kernel, device: kernel.closing(openVfio(bdf, kernel.paths)) };
}

test('reports are told once, the oldest first, with each field from its bits', (t) => {
  const { device } = openOn(t, { zpci, errors: [ccdf(0x003b), ccdf(0x0041)] });
  const [first, second, ...more] = device.errorReports() as [ZpciErrorReport, ZpciErrorReport];
  assert.deepEqual(first, {
    eventCode: 0x3b,
    functionId: 0x401,
    functionHandle: 0x8000_0377,
    failingAddress: 0xfedc_ba98_7654_3000n,
    addressSpace: 0xef,
    vector: 0xbcd,
    tableType: 0xa,
    qualifier: 1,
    readWrite: 0,
    bytes: ccdf(0x3b),
  });
  assert.equal(second.eventCode, 0x41);
  assert.deepEqual(more, []);
  assert.deepEqual(device.errorReports(), []);
});

test('a longer report of a later kernel is read as far as it is known, and kept whole', (t) => {
  const { device } = openOn(t, { zpci: { ...zpci, errorBytes: 48 }, errors: [ccdf(0x3a, 48)] });
  const [report] = device.errorReports();
  assert.deepEqual([report?.eventCode, report?.bytes.length], [0x3a, 48]);
});

const silent: [what: string, given: Partial<StandInFunction>][] = [
  ['a machine that is no IBM Z', {}],
  ['a kernel before 7.3', { zpci: { ...zpci, capabilityVersion: 2 }, errors: [ccdf(1)] }],
  ['a driver without the feature', { zpci }],
];
for (const [what, given] of silent) {
  test(`${what} has no reports, and is not asked for any`, (t) => {
    const { kernel, device } = openOn(t, given);
    assert.deepEqual(device.errorReports(), []);
    assert.equal(kernel.calls.includes('zpciError'), false);
  });
}

for (const errorBytes of [0, 31, 4097, 0xffff_ffff]) {
  test(`a kernel that says its reports have ${errorBytes} bytes is not given memory for one`, (t) => {
    const { kernel, device } = openOn(t, { zpci: { ...zpci, errorBytes }, errors: [ccdf(1)] });
    throwsCode(() => device.errorReports(), IsmioError, 'ERR_ISMIO_VFIO', { length: errorBytes });
    assert.equal(kernel.calls.includes('zpciError'), false);
  });
}

test('a refusal is told, and a kernel that never comes to an end is left after 64 reports', (t) => {
  const { kernel, device } = openOn(t, { zpci, errors: [] });
  kernel.refuse('zpciError', constants.errno.EFAULT);
  throwsCode(() => device.errorReports(), IsmioError, 'ERR_ISMIO_VFIO', {
    call: 'VFIO_DEVICE_FEATURE',
    errno: 'EFAULT',
  });
  kernel.refuse('zpciError', 0);
  kernel.replace('zpciError', () => 0);
  assert.equal(device.errorReports().length, 64);
});

test('a device that was closed is not asked for reports', (t) => {
  const { device } = openOn(t, { zpci, errors: [ccdf(1)] });
  device.close();
  throwsCode(() => device.errorReports(), IsmioError, 'ERR_ISMIO_CLOSED');
});

/** The driver of ISM, on a function that answers behind the kernel. */
async function ismOn(t: TestContext, given: Partial<StandInFunction>): Promise<{ kernel: StandInKernel; ism: Ism }> {
  const fabric = createFabric();
  const answers = fabric.function({ gid: 0x11n });
  const kernel = StandInKernel.install(t, { functions: [{ bdf, irqs: [errIrq], answers, ...given }] });
  const ism = kernel.closing(await openIsm(openVfio(bdf, kernel.paths)));
  t.after(() => fabric.close());
  return { kernel, ism };
}

test('the driver of ISM is told of the error with its reports', { skip: noMapping }, async (t) => {
  const { kernel, ism } = await ismOn(t, { zpci, errors: [ccdf(0x2a), ccdf(0x3b)] });
  const lost = once(ism, 'lost');
  kernel.interrupt(errIndex, 0);
  const [error] = (await lost) as [IsmioError];
  assert.equal(error.code, 'ERR_ISMIO_REGION_LOST');
  assert.match(error.message, /0x2a, 0x3b/);
  assert.deepEqual(
    error.reports?.map((report) => (report as ZpciErrorReport).eventCode),
    [0x2a, 0x3b],
  );
});

test('without reports the driver is told of the error all the same', { skip: noMapping }, async (t) => {
  const { kernel, ism } = await ismOn(t, {});
  const lost = once(ism, 'lost');
  kernel.interrupt(errIndex, 0);
  const [error] = (await lost) as [IsmioError];
  assert.deepEqual(error.reports, []);
});

test('reports that cannot be read are an error of the driver, not the end of the process', {
  skip: noMapping,
}, async (t) => {
  const { kernel, ism } = await ismOn(t, { zpci, errors: [] });
  kernel.refuse('zpciError', constants.errno.EIO);
  const failed = once(ism, 'error');
  kernel.interrupt(errIndex, 0);
  await assert.rejects(
    failed.then(([error]) => Promise.reject(error)),
    { code: 'ERR_ISMIO_VFIO' },
  );
  kernel.refuse('zpciError', 0);
});
