// The tests that run in the x86-64 guest: main.js WORK MODULES. They run in this order.
import { modules } from './setting.js';

const files = [
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
for (const file of files) await import(`./${file}.js`);
