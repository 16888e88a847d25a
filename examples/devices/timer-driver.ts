// The driver of the timer in timer.ts. It takes any open function, so it is the same by every road:
//
//   const device = timer().open();                         in this process
//   const device = openVfioUser('/tmp/timer.sock');        in another: npx ismio serve --example timer --socket /tmp/timer.sock
//   const device = openVfio('0000:00:04.0');               as a guest has it
import type { PciDevice, Region } from 'ismio';
import type { RegistersOn } from 'ismio/device';
import { timerMap, vector } from './timer.js';

const millisecond = 1_000_000n;

export interface Tick {
  /** How often the timer expired since it was started. */
  readonly count: number;
  /** Whether it expired more than once since the tick before. */
  readonly missed: boolean;
}

export class Timer {
  readonly #device: PciDevice;
  readonly #bar: Region;
  readonly #registers: RegistersOn<(typeof timerMap)['registers']>;

  constructor(device: PciDevice) {
    this.#device = device;
    device.enableMemory();
    device.enableBusMaster(); // or it sends no MSI
    this.#bar = device.region(0);
    this.#registers = timerMap.on(this.#bar);
    const identity = this.#registers.identity.load();
    if (identity !== 0x524d4954)
      throw new Error(`${device.name} is no timer: its identity is 0x${identity.toString(16)}`);
  }

  /** Milliseconds that the device has been there. */
  get time(): number {
    return Number(this.#registers.time.load()) / Number(millisecond);
  }

  /** Resolves when a time has gone by. */
  async sleep(milliseconds: number): Promise<void> {
    for await (const _ of this.#ticks(milliseconds, false)) return;
  }

  /** An item for each period, until the iteration is left. Ticks that come while nobody waits are told as one. */
  ticks(milliseconds: number): AsyncGenerator<Tick> {
    return this.#ticks(milliseconds, true);
  }

  close(): void {
    this.#bar.close();
  }

  async *#ticks(milliseconds: number, periodic: boolean): AsyncGenerator<Tick> {
    const { control, period, status, count } = this.#registers;
    const msix = this.#device.irq('msix');
    msix.enable();
    try {
      status.write({ expired: true, missed: true });
      period.store(BigInt(Math.round(milliseconds * Number(millisecond))));
      control.write({ enable: true, periodic });
      if (!control.read().enable) throw new Error(`the timer takes no period of ${milliseconds} ms`);
      for await (const _ of msix.vector(vector.expired)) {
        const { expired, missed } = status.read();
        if (!expired) continue;
        // Cleared before the count is loaded: what expires in between is in the count, and raises another interrupt.
        status.write({ expired, missed });
        yield { count: count.load(), missed };
      }
    } finally {
      control.write({ enable: false });
      msix.disable();
    }
  }
}
