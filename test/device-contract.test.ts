// The road to a device of this process.
import { contractDevice, contractOf } from './support/contract.js';

const device = contractDevice();

contractOf({
  name: 'device.open()',
  open: async () => ({ device: device.open(), close: async () => undefined }),
});
