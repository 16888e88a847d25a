// What a driver asks of a PCI function, by whichever road it is reached.
import type { Region } from '../region/region.js';
import type { ConfigSpace } from './config.js';
import type { DmaMapping, DmaOptions } from './dma.js';
import type { VfioDeviceInfo } from './info.js';
import type { IovaRange } from './iova.js';
import type { IrqName, VfioIrq } from './irq.js';
import type { VfioRegionOptions } from './region.js';
import type { ZpciErrorReport } from './zpci-errors.js';

/**
 * A PCI function: of a machine or a guest (`openVfio`), of another process (`openVfioUser`), or of this one (`device.open()` of
 * ismio/device). A driver that takes this interface runs on each of them.
 */
export interface PciDevice {
  /** What messages call it: its address, its socket, or the name of its description. */
  readonly name: string;
  /** What it said of itself when it was opened. */
  readonly info: VfioDeviceInfo;
  /** Whether `close` was called. */
  readonly closed: boolean;
  /** The configuration space of the function, read and written by width. */
  readonly config: ConfigSpace;
  /** Whether the function decodes its BARs' memory. */
  readonly memory: boolean;
  /** Whether the function may read and write memory, and send MSIs. */
  readonly busMaster: boolean;
  /** The bus addresses at which buffers can be mapped. */
  readonly iovaRanges: readonly IovaRange[];
  /** Region `index`, as `info.regions` has it: 0 to 5 are the BARs. Each call opens another handle. */
  region(index: number, options?: VfioRegionOptions): Region;
  /** The interrupts of one kind. The same object each time. */
  irq(name: IrqName): VfioIrq;
  /** Lets the device read and write a buffer of `allocBuffer`. */
  dmaMap(buffer: Uint8Array, options?: DmaOptions): DmaMapping;
  /** Switches on or off whether the function decodes its BARs' memory. */
  enableMemory(on?: boolean): void;
  /** Switches on or off whether the function may read and write memory, and send MSIs. */
  enableBusMaster(on?: boolean): void;
  /** What its platform told of errors since the last time; empty where none is pending, or the platform tells none. */
  errorReports(): ZpciErrorReport[];
  /** Resets the function; its DMA mappings and enabled interrupts stay. */
  reset(): void;
  /** Lets go of it, and of everything that was opened of it. */
  close(): void;
  [Symbol.dispose](): void;
}
