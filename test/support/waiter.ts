// A Worker that waits for an interrupt that nobody raises, for a minute.
import { parentPort, workerData } from 'node:worker_threads';
import { openVfio } from '../../src/vfio/open.js';
import { interruptedFunction, StandInKernel } from './kernel.js';

const kernel = StandInKernel.install(
  { after: () => undefined },
  { functions: [interruptedFunction], trees: workerData.trees },
);
const msi = openVfio(interruptedFunction.bdf, kernel.paths).irq('msi');
msi.enable(1);
parentPort?.postMessage('waits');
msi.vector(0).waitSync(60_000);
parentPort?.postMessage('came back');
