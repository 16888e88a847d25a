// The road through a guest's kernel: the contract of every PciDevice, on the device that the host serves.
import { before } from 'node:test';
import { openVfio } from 'ismio';
import { contractOf } from '../../../support/contract.js';
import { servedPlaces } from '../machine.js';
import { api, bind } from './setting.js';

before(() => bind(servedPlaces.contract, 'vfio-pci'));

contractOf({
  name: "openVfio, a guest's kernel",
  hidesRefusals: true,
  shared: api === 'group',
  open: async () => ({ device: openVfio(servedPlaces.contract, { api }), close: async () => undefined }),
});
