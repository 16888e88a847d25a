// The NVMe controller of examples/devices in this process, opened as its driver opens it, with memory that it reaches.
import { allocBuffer, type VfioDevice } from 'ismio';
import { type NvmeDeviceOptions, nvmeController } from '../../examples/devices/nvme.js';
import { NvmeHost } from './nvme-host.js';

export interface OpenedNvme {
  readonly host: NvmeHost;
  readonly device: VfioDevice;
  /** How often vector `vector` was signalled. */
  readonly signalled: (vector: number) => number;
  /** What the handlers of the controller threw. */
  readonly errors: readonly Error[];
}

const memoryBytes = 4 << 20;
/** Not at the start of the addresses, nor at their end: what lies beside it is not mapped. */
const iova = 0x12_3456_7000n;

export function openNvme(test: { after(end: () => void): void }, options: NvmeDeviceOptions = {}): OpenedNvme {
  const given = options.file === undefined && options.bytes === undefined ? { bytes: new Uint8Array(1 << 20) } : {};
  const controller = nvmeController({ ...given, ...options });
  const errors: Error[] = [];
  controller.on('error', (error) => errors.push(error));
  const device = controller.open();
  test.after(() => {
    device.close();
    controller.close();
  });
  device.enableMemory();
  device.enableBusMaster();
  const irq = device.irq('msix');
  irq.enable();
  const memory = device.dmaMap(allocBuffer(memoryBytes), { iova }).buffer;
  const host = new NvmeHost({ bar: device.region(0), memory, iova });
  return { host, device, errors, signalled: (vector) => irq.vector(vector).signalled };
}
