// The two pages of memory that a function writes its notices to, signal bits and event queue: mapped for it, and registered with
// it. They are taken back in the order that lets no store of the function go where nothing is any more: it is told to write there
// no longer, and then they are unmapped.
import { allocBuffer } from '../../access/memory.js';
import type { DmaMapping } from '../../vfio/dma.js';
import type { PciDevice } from '../../vfio/pci-device.js';
import { commands, pageBytes, queue } from '../wire.js';
import type { Commander } from './commander.js';

/** Does something that may fail, and goes on. */
export type Attempt = (act: () => void) => void;

export class Pages {
  readonly bits: Uint8Array = allocBuffer(pageBytes, { shared: true });
  readonly events: Uint8Array = allocBuffer(pageBytes, { shared: true });
  readonly #commander: Commander;
  readonly #mapped: DmaMapping[] = [];
  /** What takes back what was registered, in the order in which that was. */
  readonly #registered: (typeof commands.unregisterSba | typeof commands.unregisterIeq)[] = [];

  constructor(commander: Commander) {
    this.#commander = commander;
  }

  map(device: PciDevice): void {
    for (const page of [this.bits, this.events]) this.#mapped.push(device.dmaMap(page));
  }

  /** They have to be mapped. */
  register(): void {
    const [bits, events] = this.#mapped as [DmaMapping, DmaMapping];
    this.#commander.run(commands.registerSba, { sba: bits.iova });
    this.#registered.push(commands.unregisterSba);
    this.#commander.run(commands.registerIeq, { ieq: events.iova, len: BigInt(queue.bytes) });
    this.#registered.push(commands.unregisterIeq);
  }

  unregister(attempt: Attempt): void {
    for (const command of this.#registered.reverse()) attempt(() => this.#commander.run(command, {}));
  }

  unmap(attempt: Attempt): void {
    for (const mapping of this.#mapped) attempt(() => mapping.unmap());
  }
}
