// The configuration space of a function, seen from inside: which bits a driver may write, and what follows from it.
//
// Source: PCI Local Bus Specification 3.0, 6.1 (header), 6.2.5.1 (BARs), 6.8.1 (MSI), 6.8.2 (MSI-X); PCI Express Base
// Specification 2.0, 7.8 (its capability). Little-endian throughout.
import { type CheckedBar, type CheckedDescription, type CheckedMsix, capabilityBytes } from './check.js';

const at = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  cacheLine: 0x0c,
  latency: 0x0d,
  bars: 0x10,
  subsystemVendor: 0x2c,
  subsystemDevice: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
  firstCapability: 0x40,
} as const;

/** Of the command register: memory space, bus master, parity, SERR#, interrupt disable. */
export const command = {
  memory: 0x0002,
  busMaster: 0x0004,
  systemErrors: 0x0100,
  writable: 0x0546,
  interruptsOff: 0x0400,
} as const;
/** Of the status register. Errors are cleared by writing ones. */
const status = {
  interrupt: 0x0008,
  capabilities: 0x0010,
  errors: 0xf900,
  targetAbort: 0x0800,
  masterAbort: 0x2000,
  systemError: 0x4000,
} as const;
const capability = { msi: 0x05, vendor: 0x09, express: 0x10, msix: 0x11 } as const;
/** What a driver may write of each: Message Control's enable bits, and MSI's address and data. */
const msixControl = 0xc000;
/** Of the Device Status register: an error that is not fatal. */
const nonFatal = 0x02;
/** Of the Device Capabilities register, and of the upper byte of Device Control. */
const functionReset = { offered: 0x1000_0000, asked: 0x80 } as const;

/** What follows from it. */
export interface Follows {
  /** The driver has written the command register. */
  changed(decodes: boolean, masters: boolean): void;
  /** It has asked for a reset of the function: then this is as after one already. */
  wanted(): void;
  /** Whether the function has refused an access since this was last asked. */
  refused(): boolean;
}

export class Configuration {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Of each byte, the bits that a driver may write, and those it clears by writing ones. */
  readonly #writable: Uint8Array;
  readonly #clearable: Uint8Array;
  readonly #initial: Uint8Array;
  readonly #follows: Follows;
  /** Where a driver asks for a reset of the function; 0 where it cannot. */
  #functionReset = 0;
  /** Where the Device Status register is; 0 where there is none. */
  #deviceStatus = 0;

  constructor(description: CheckedDescription, follows: Follows) {
    const size = description.express ? 4096 : 256;
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
    this.#writable = new Uint8Array(size);
    this.#clearable = new Uint8Array(size);
    this.#follows = follows;
    this.#header(description);
    for (const bar of description.bars) this.#bar(bar);
    this.#capabilities(description);
    this.#initial = this.bytes.slice();
  }

  /** Whether accesses to BARs are answered. */
  get decodes(): boolean {
    return (this.#view.getUint16(at.command, true) & command.memory) !== 0;
  }

  /** Whether the function may read and write memory, and send messages. */
  get masters(): boolean {
    return (this.#view.getUint16(at.command, true) & command.busMaster) !== 0;
  }

  /** What is past the end reads as nothing; callers have looked before. */
  read(offset: number, target: Uint8Array): void {
    this.#look();
    target.set(this.bytes.subarray(offset, offset + target.length));
  }

  write(offset: number, source: Uint8Array): void {
    this.#look();
    for (const [i, value] of source.entries()) {
      const place = offset + i;
      const [writable, clearable] = [this.#writable[place] ?? 0, this.#clearable[place] ?? 0];
      const before = this.bytes[place] as number;
      this.bytes[place] = ((before & ~writable) | (value & writable)) & ~(value & clearable);
    }
    const bits = this.#functionReset === 0 ? 0 : (source[this.#functionReset - offset] ?? 0);
    if ((bits & functionReset.asked) !== 0) {
      this.reset();
      this.#follows.wanted();
      return;
    }
    if (offset < at.command + 2 && offset + source.length > at.command) this.#commanded();
  }

  /** The level of INTx shows in the status register, whatever the command register says. */
  interruptStatus(up: boolean): void {
    const now = this.#view.getUint16(at.status, true);
    this.#view.setUint16(at.status, up ? now | status.interrupt : now & ~status.interrupt, true);
  }

  /** A request that the function made went wrong: the driver sees it in the status register. */
  failed(): void {
    this.#note(status.masterAbort);
  }

  /** What `restore` takes. */
  saved(): Uint8Array {
    this.#look();
    return this.bytes.slice();
  }

  /** What of another configuration space no driver can have written, in words; undefined where there is nothing. */
  differs(other: Uint8Array): string | undefined {
    const place = this.#initial.findIndex((value, i) => ((value ^ (other[i] as number)) & ~this.#own(i)) !== 0);
    if (place < 0) return undefined;
    const [found, wanted] = [other[place], this.#initial[place]].map((value) => (value as number).toString(16));
    return `the byte at offset 0x${place.toString(16)} is 0x${found}, not 0x${wanted}`;
  }

  /** As it was when it was saved; it does not differ. */
  restore(saved: Uint8Array): void {
    this.bytes.set(saved);
    this.#commanded();
  }

  /** Whether the level of INTx is up. */
  get interruptRaised(): boolean {
    return (this.#view.getUint16(at.status, true) & status.interrupt) !== 0;
  }

  /** The bits of a byte that are not the same for ever: a driver writes them, or the function itself sets them. */
  #own(place: number): number {
    const level = place === at.status && this.bytes[at.interruptPin] !== 0 ? status.interrupt : 0;
    return (this.#writable[place] ?? 0) | (this.#clearable[place] ?? 0) | level;
  }

  /** As after a reset: everything that a driver wrote is forgotten. The level of INTx is the function's own. */
  reset(): void {
    const up = this.interruptRaised;
    this.#follows.refused(); // before the reset
    this.bytes.set(this.#initial);
    this.interruptStatus(up);
    this.#commanded();
  }

  #commanded(): void {
    this.#follows.changed(this.decodes, this.masters);
  }

  /**
   * Accesses that the function refused are in the status register by the time that this is looked at. A posted write that is refused
   * shows there and nowhere else.
   */
  #look(): void {
    if (!this.#follows.refused()) return;
    const systemErrors = (this.#view.getUint16(at.command, true) & command.systemErrors) !== 0;
    this.#note(status.targetAbort | (systemErrors ? status.systemError : 0));
    if (this.#deviceStatus !== 0)
      this.bytes[this.#deviceStatus] = (this.bytes[this.#deviceStatus] as number) | nonFatal;
  }

  #note(errors: number): void {
    this.#view.setUint16(at.status, this.#view.getUint16(at.status, true) | errors, true);
  }

  #header(description: CheckedDescription): void {
    const view = this.#view;
    view.setUint16(at.vendor, description.vendor, true);
    view.setUint16(at.device, description.device, true);
    view.setUint32(at.revision, ((description.classCode << 8) | description.revision) >>> 0, true);
    view.setUint16(at.subsystemVendor, description.subsystemVendor, true);
    view.setUint16(at.subsystemDevice, description.subsystemDevice, true);
    this.bytes[at.interruptPin] = description.intx ? 1 : 0;
    this.#allow(at.command, 2, command.writable);
    this.#allow(at.cacheLine, 2, 0xffff);
    this.#allow(at.interruptLine, 1, 0xff);
    this.#clearable[at.status + 1] = status.errors >> 8;
  }

  /** A driver writes ones, and reads which of them stay: address bits below the size are always 0. */
  #bar({ index, size, bits, prefetchable }: CheckedBar): void {
    const place = at.bars + index * 4;
    const mask = -BigInt(size);
    this.#view.setUint32(place, (bits === 64 ? 4 : 0) | (prefetchable ? 8 : 0), true);
    this.#allow(place, 4, Number(mask & 0xffff_fff0n));
    if (bits === 64) this.#allow(place + 4, 4, Number((mask >> 32n) & 0xffff_ffffn));
  }

  #capabilities({ msi, msix, express, vendorCapabilities }: CheckedDescription): void {
    let link: number = at.capabilities;
    let next: number = at.firstCapability;
    const add = (id: number, length: number): number => {
      const place = next;
      this.bytes[link] = place;
      this.bytes[place] = id;
      link = place + 1;
      next = (place + length + 3) & ~3;
      return place;
    };
    if (msi > 0) this.#msi(add(capability.msi, capabilityBytes.msi), msi);
    if (msix !== null) this.#msix(add(capability.msix, capabilityBytes.msix), msix);
    if (express) this.#express(add(capability.express, capabilityBytes.express));
    for (const bytes of vendorCapabilities) {
      const place = add(capability.vendor, 3 + bytes.length);
      this.bytes[place + 2] = 3 + bytes.length;
      this.bytes.set(bytes, place + 3);
    }
    if (link === at.capabilities) return;
    this.#view.setUint16(at.status, status.capabilities, true);
  }

  /** With 64 bits of address; how many vectors are enabled, in powers of two. */
  #msi(place: number, vectors: number): void {
    this.#view.setUint16(place + 2, 0x80 | (Math.log2(vectors) << 1), true);
    this.#allow(place + 2, 2, 0x71);
    this.#allow(place + 4, 4, 0xffff_fffc);
    this.#allow(place + 8, 4, 0xffff_ffff);
    this.#allow(place + 12, 2, 0xffff);
  }

  #msix(place: number, { vectors, bar, table, pending }: CheckedMsix): void {
    this.#view.setUint16(place + 2, vectors - 1, true);
    this.#allow(place + 2, 2, msixControl);
    this.#view.setUint32(place + 4, table | bar, true);
    this.#view.setUint32(place + 8, pending | bar, true);
  }

  /** Version 2, an endpoint: one lane of 2.5 GT/s, payloads of 128 bytes, a reset of the function alone. */
  #express(place: number): void {
    this.#view.setUint16(place + 2, 0x0002, true);
    this.#view.setUint32(place + 4, 0x8000 | functionReset.offered, true);
    this.#functionReset = place + 9; // a bit that always reads 0
    this.#allow(place + 8, 2, 0x7fff);
    this.#deviceStatus = place + 10;
    this.#clearable[this.#deviceStatus] = 0x0f;
    this.#view.setUint32(place + 12, 0x11, true);
    this.#allow(place + 16, 2, 0x01c3);
    this.#view.setUint16(place + 18, 0x0011, true);
  }

  #allow(place: number, length: number, bits: number): void {
    for (let i = 0; i < length; i++) this.#writable[place + i] = (bits >>> (8 * i)) & 0xff;
  }
}
