// The road through the kernel, as its stand-in has it: by the group, and by the character device.
import { after } from 'node:test';
import { allocBuffer } from '../src/access/memory.js';
import { defineDevice } from '../src/device/device.js';
import { IsmioError } from '../src/support/errors.js';
import { openVfio } from '../src/vfio/open.js';
import { contractDevice, contractOf } from './support/contract.js';
import { StandInKernel } from './support/kernel.js';

// The functions that the stand-in replaces are those of the modules, so the device, its memory and the errors are theirs as well.
const modules = { allocBuffer, defineDevice, IsmioError };
const bdf = '0000:00:04.0';
const kernel = StandInKernel.install(
  { after },
  { functions: [{ bdf, cdev: 'vfio0', answers: contractDevice(modules) }] },
);

for (const api of ['group', 'cdev'] as const) {
  contractOf({
    name: `openVfio, the kernel's stand-in, ${api}`,
    package: modules,
    shared: api === 'group',
    open: async () => ({ device: openVfio(bdf, { ...kernel.paths, api }), close: async () => undefined }),
  });
}
