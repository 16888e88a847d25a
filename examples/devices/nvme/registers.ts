// The controller's registers (3.1), as memory of its own: what the host stores there is kept and told.

import { version } from './identify.js';
import { configuration, limit, register, status } from './specification.js';

type Width = 1 | 2 | 4 | 8;

/** CAP: queues in one piece only, ready within 20 times 500 ms, the NVM command set, pages of 4096 bytes. */
const capabilities = BigInt(limit.entries - 1) | (1n << 16n) | (20n << 24n) | (1n << 37n);
const end = 0x40;

/** Bits that the host may store to. */
const writable: Readonly<Record<number, number>> = {
  [register.configuration]: 0x00ff_fff1,
  [register.adminQueueAttributes]: 0x0fff_0fff,
  [register.adminSubmissionQueue]: 0xffff_f000,
  [register.adminSubmissionQueue + 4]: 0xffff_ffff,
  [register.adminCompletionQueue]: 0xffff_f000,
  [register.adminCompletionQueue + 4]: 0xffff_ffff,
};

export class Registers {
  readonly #view = new DataView(new ArrayBuffer(end));
  /** Told of a new value of CC, and the one before. */
  readonly #configured: (now: number, before: number) => void;

  constructor(configured: (now: number, before: number) => void) {
    this.#configured = configured;
    this.reset();
  }

  /** As after a reset of the function. */
  reset(): void {
    for (let at = 0; at < end; at += 4) this.#view.setUint32(at, 0);
    this.#view.setBigUint64(register.capabilities, capabilities, true);
    this.#view.setUint32(register.version, version, true);
  }

  get configuration(): number {
    return this.#view.getUint32(register.configuration, true);
  }

  get status(): number {
    return this.#view.getUint32(register.status, true);
  }

  /** Changes bits of CSTS. */
  setStatus(mask: number, value: number): void {
    this.#view.setUint32(register.status, ((this.status & ~mask) | value) >>> 0, true);
  }

  get ready(): boolean {
    return (this.status & status.ready) !== 0;
  }

  get adminQueues() {
    const attributes = this.#view.getUint32(register.adminQueueAttributes, true);
    return {
      submissionEntries: (attributes & 0xfff) + 1,
      completionEntries: ((attributes >>> 16) & 0xfff) + 1,
      submission: this.#view.getBigUint64(register.adminSubmissionQueue, true),
      completion: this.#view.getBigUint64(register.adminCompletionQueue, true),
    };
  }

  /** Sizes of entries have the values that I/O queues need. */
  get entrySizesSet(): boolean {
    return (this.configuration & configuration.entrySizes) === configuration.entrySizesThere;
  }

  /** Registers that there are not read as zeros. */
  load(offset: number, width: Width): number | bigint {
    if (offset + width > end) return width === 8 ? 0n : 0;
    if (width === 8) return this.#view.getBigUint64(offset, true);
    if (width === 4) return this.#view.getUint32(offset, true);
    return width === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  /** Registers are stored to by 4 bytes, or 8 (3.1): anything else has no effect, as what is stored to one that is read only. */
  store(offset: number, value: number | bigint, width: Width): void {
    if (width === 8) {
      this.#store(offset, Number(BigInt(value) & 0xffff_ffffn));
      this.#store(offset + 4, Number(BigInt(value) >> 32n));
    } else if (width === 4) this.#store(offset, Number(value));
  }

  #store(offset: number, value: number): void {
    if (offset + 4 > end) return;
    const before = this.#view.getUint32(offset, true);
    if (offset === register.interruptMaskSet) this.#mask((before | value) >>> 0);
    else if (offset === register.interruptMaskClear) this.#mask((before & ~value) >>> 0);
    else
      this.#view.setUint32(
        offset,
        ((before & ~(writable[offset] ?? 0)) | (value & (writable[offset] ?? 0))) >>> 0,
        true,
      );
    if (offset === register.configuration) this.#configured(this.configuration, before);
  }

  /** Of interrupts by pin and by MSI, which there are not: both registers read as the mask (3.1.3, 3.1.4). */
  #mask(value: number): void {
    this.#view.setUint32(register.interruptMaskSet, value, true);
    this.#view.setUint32(register.interruptMaskClear, value, true);
  }
}
