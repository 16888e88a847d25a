// The device that is under the kills: a register that counts, memory that a driver maps, DMA and an interrupt at each store.
import { allocBuffer } from 'ismio';
import { type Device, defineDevice } from 'ismio/device';

export function killsDevice(): Device {
  const bytes = new Uint8Array(64);
  const device = defineDevice({
    ...{ vendor: 0x1af4, device: 0x4242, classCode: 0x08_80_00 },
    regions: {
      0: {
        size: 4096,
        load: (offset) => offset,
        store: (_offset, value) => {
          device.dma.read(BigInt(value), bytes);
          device.dma.write(BigInt(value), bytes);
          device.interrupt('msix', 1);
        },
      },
      2: { size: 8192, memory: allocBuffer(8192, { shared: true }) },
    },
    interrupts: { msix: 4 },
  });
  return device;
}
