// A thread that opens one of everything and ends without closing any of it, in a way that its starter chooses.
import { parentPort, workerData } from 'node:worker_threads';
import { allocBuffer, emulate, mapFile, openVfio } from '../../src/index.js';
import type { Leaving } from './endings.js';
import { interruptedFunction, StandInKernel } from './kernel.js';

const { ending, api, path, trees } = workerData as Leaving;

const kernel = StandInKernel.install({ after: () => undefined }, { functions: [interruptedFunction], trees });
const device = openVfio(interruptedFunction.bdf, { ...kernel.paths, api });
const slow = emulate({ size: 2 ** 24, cost: { store: 1e5, storeBlock: 1e5 } });
const memory = allocBuffer(2 ** 16);
const used: unknown[] = [
  device.region(0, { access: 'pread' }),
  device.dmaMap(allocBuffer(4096)),
  mapFile(path, { kind: 'device' }),
  mapFile(path, { kind: 'memory' }),
  mapFile(path, { access: 'pread' }),
];
device.irq('msi').enable();
device.irq('msi').on('interrupt', () => undefined);
device.irq('msi').unref();

const closed = emulate({ size: 4096 });
closed.queue().storeWords(0, 1, 1);
closed.close();

const queue = slow.queue({ depth: 8192 });
const fill = (): void => {
  for (let i = 0; i < 4096; i++) queue.storeWords(i * 8, i, i);
  queue.write(2 ** 20, memory);
};

// A word that wakes whoever waits for it, also while this thread is in native code for a long time.
const begun = (): void => parentPort?.postMessage(used.length);

if (ending === 'in a submit') {
  fill();
  begun();
  queue.submit();
} else if (ending === 'in a write') {
  begun();
  slow.write(0, new Uint8Array(2 ** 20));
} else {
  fill();
  if (ending !== 'in idleness') void queue.drain().catch(() => undefined);
  begun();
  if (ending === 'throw') throw new Error('on purpose');
  if (ending === 'exit') process.exit(7);
  if (ending === 'rejection') void Promise.reject(new Error('on purpose'));
  // Interrupts that are not waited for, and an idle queue, keep no thread; a drain does.
  if (ending === 'return') queue.close();
  if (ending.startsWith('in ')) setInterval(() => used.length, 1000);
}
