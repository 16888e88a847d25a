// The tests that run in the x86-64 guest: main.js WORK MODULES [served]. They run in this order.
import { modules, served } from './setting.js';

/** What there is to say of devices that are served: the same tests as of QEMU's, and of Linux's own drivers on them. */
const ofServed = ['binding', 'contract', 'dma', 'interrupts', 'nvme', 'reads', 'files', 'serial'];

const ofQemus = [
  'kernel',
  ...(modules === 'debian' ? ['commands'] : []),
  'binding',
  'doctor',
  'registers',
  'dma',
  'interrupts',
  'memory',
  'nvme',
  'opening',
  'faults',
  'storm',
  'figures',
  'unplug',
  'unshown',
];
for (const file of served ? ofServed : ofQemus) await import(`./${file}.js`);
