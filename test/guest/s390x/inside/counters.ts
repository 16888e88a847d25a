// What the kernel counted on a function: /sys/kernel/debug/pci/<address>/statistics, which the function itself measures
// (Linux arch/s390/pci/pci_debug.c).
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Counts {
  readonly loads: number;
  readonly stores: number;
  readonly storeBlocks: number;
}

export class Counters {
  readonly #path: string;

  /** The file is there while the function is enabled: while VFIO has it open. */
  constructor(bdf: string) {
    this.#path = `/sys/kernel/debug/pci/${bdf}/statistics`;
    // What is counted since VFIO opened the function shows only after measuring was switched off and on.
    writeFileSync(this.#path, '0');
    writeFileSync(this.#path, '1');
  }

  /** What was counted until now. The function updates its counters every 4 s: waits for the next update. */
  async settled(): Promise<Counts> {
    const seen = this.#number('Samples');
    while (this.#number('Samples') === seen) await sleep(100);
    return {
      loads: this.#number('Load operations'),
      stores: this.#number('Store operations'),
      storeBlocks: this.#number('Store block operations'),
    };
  }

  #number(name: string): number {
    const text = readFileSync(this.#path, 'utf8');
    const found = new RegExp(`^\\s*${name}:\\s*(\\d+)`, 'm').exec(text);
    if (found === null) throw new Error(`no '${name}' in ${this.#path}:\n${text}`);
    return Number(found[1]);
  }
}
