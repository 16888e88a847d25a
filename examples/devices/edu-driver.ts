// A driver of QEMU's educational device: of QEMU's own, by VFIO, or of the one in edu.ts, in this process or behind a socket.
//
//   const edu = new Edu(openVfioUser('/tmp/edu.sock'));
//   console.log(await edu.factorial(10));
import { once } from 'node:events';
import type { DmaMapping, PciDevice, Region, VfioIrq } from 'ismio';
import type { RegistersOn } from 'ismio/device';
import { addressMask, cause, eduMap, ownMemory } from './edu-registers.js';

export class Edu {
  readonly registers: RegistersOn<(typeof eduMap)['registers']>;
  readonly #device: PciDevice;
  readonly #bar: Region;
  readonly #irq: VfioIrq;

  /** `by` says which interrupt it waits for. */
  constructor(device: PciDevice, by: 'msi' | 'intx' = 'msi') {
    this.#device = device;
    device.enableMemory();
    device.enableBusMaster();
    this.#bar = device.region(0);
    this.registers = eduMap.on(this.#bar);
    this.#irq = device.irq(by);
    this.#irq.enable();
  }

  /** Whether somebody answers: a liveness check. */
  get alive(): boolean {
    const { liveness } = this.registers;
    const word = (Date.now() & 0x7fff_ffff) >>> 0;
    liveness.store(word);
    return liveness.load() === ~word >>> 0;
  }

  /** Modulo 2^32. */
  async factorial(operand: number): Promise<number> {
    const { status, factorial } = this.registers;
    const done = this.#interrupted(cause.factorial);
    status.write({ interruptWhenDone: true });
    factorial.store(operand);
    await done;
    return factorial.load();
  }

  /** Memory that the device reaches with its 28 bits. */
  map(buffer: Uint8Array): DmaMapping {
    return this.#device.dmaMap(buffer, { limit: addressMask });
  }

  /** Copies `length` bytes of a mapped buffer into the device's own memory. */
  async copyIn(source: DmaMapping, length: number, offset = 0): Promise<void> {
    await this.#transfer(source.iova, ownMemory.at + BigInt(offset), length, false);
  }

  /** Copies `length` bytes of the device's own memory into a mapped buffer. */
  async copyOut(target: DmaMapping, length: number, offset = 0): Promise<void> {
    await this.#transfer(ownMemory.at + BigInt(offset), target.iova, length, true);
  }

  close(): void {
    this.#irq.disable();
    this.#bar.close();
  }

  async #transfer(source: bigint, target: bigint, length: number, toMemory: boolean): Promise<void> {
    const { dmaSource, dmaTarget, dmaCount, dmaCommand } = this.registers;
    const done = this.#interrupted(cause.dma);
    dmaSource.store(source);
    dmaTarget.store(target);
    dmaCount.store(BigInt(length));
    dmaCommand.write({ start: true, toMemory, interrupt: true });
    await done;
  }

  /** Until the device interrupts for this cause, which is then acknowledged. */
  async #interrupted(wanted: number): Promise<void> {
    const { interruptStatus, acknowledge } = this.registers;
    for (;;) {
      await once(this.#irq, 'interrupt');
      const causes = interruptStatus.load();
      acknowledge.store(causes);
      if (this.#irq.info.autoMasked) this.#irq.unmask();
      if ((causes & wanted) !== 0) return;
    }
  }
}
