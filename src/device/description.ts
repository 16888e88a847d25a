// What a PCI function is, as a program describes it to `defineDevice`.
import type { ByteOrder } from '../access/region-like.js';
import type { Rules } from '../access/rules.js';
import type { PortHandle } from '../addon/handles.js';
import type { Cost, Faults } from '../region/faults.js';

/** The widths of loads and stores, in bytes. */
export type Width = 1 | 2 | 4 | 8;

/** What a load gives: a number, or a bigint where 8 bytes are loaded (a number that is exact is taken as well). */
export type Loaded = number | bigint;

/**
 * How a BAR answers accesses. What is left out is refused: the access ends with condition code 1, and EIO over VFIO. A handler
 * that throws refuses the access as well, and the device emits 'error'.
 *
 * A handler may answer by a promise. Accesses of the same driver wait behind it, and one that could only wait for itself is
 * refused: a load by `region.load32` on the thread that runs the handlers (ERR_ISMIO_DEADLOCK).
 */
export interface Handlers {
  /** One load of `width` bytes at `offset`, a multiple of `width`. */
  load?(offset: number, width: Width): Loaded | Promise<Loaded>;
  /** One store. `value` is a bigint where `width` is 8. */
  store?(offset: number, value: number | bigint, width: Width): void | Promise<void>;
  /**
   * One store block. Left out, a block arrives as the aligned stores of 8, 4, 2 and 1 bytes that vfio-pci makes of one
   * (Linux drivers/vfio/pci/vfio_pci_rdwr.c). `bytes` is the handler's to keep.
   */
  storeBlock?(offset: number, bytes: Uint8Array): void | Promise<void>;
}

/** Bytes of a BAR that are memory: nothing is called for an access there. */
export interface MemoryArea {
  /** Where in the BAR they begin, a multiple of the page size. */
  readonly offset: number;
  /** Of `allocBuffer`, whole pages. Shared (`allocBuffer(n, { shared: true })`), a driver in another process maps it. */
  readonly memory: Uint8Array;
}

/** One BAR. */
export interface BarDescription extends Handlers {
  /** A power of two from 16 to 2^48, in bytes. */
  readonly size: number;
  /** Address bits: a 64-bit BAR takes the next one's place as well. Default 32; 64 from 2^31 bytes on. */
  readonly bits?: 32 | 64;
  /** Whether reads of it have no effects (PCI Local Bus Specification 3.0, 6.2.5.1). Default false. */
  readonly prefetchable?: boolean;
  /** The byte order of the values that `load` gives and `store` takes. Default 'le'. */
  readonly order?: ByteOrder;
  /** All of the BAR is this memory: `size` bytes of `allocBuffer`. */
  readonly memory?: Uint8Array;
  /** Parts of it are memory; the handlers answer the rest. */
  readonly areas?: readonly MemoryArea[];
  /** @internal What of the addon takes the stores that are not to memory. */
  readonly engine?: PortHandle;
  /** What a store may be, as of `emulate`. Default: every store a transaction of its own (`merge: 'registers'`). */
  readonly rules?: Partial<Rules>;
  /** Synthetic time that accesses take, as of `emulate`. */
  readonly cost?: Partial<Cost>;
  /** Accesses that go wrong, as of `emulate`. */
  readonly faults?: Faults;
}

/** Where a function's MSI-X table and pending bits lie. */
export interface MsixDescription {
  /** 1 to 2048. */
  readonly vectors: number;
  /** The BAR of both. Default: one of its own, the first that is free. */
  readonly bar?: number;
  /** Where the table begins in the BAR: 16 bytes a vector. Default 0. */
  readonly table?: number;
  /** Where the pending bits begin, behind the table. Default: at half of a BAR of its own. */
  readonly pending?: number;
}

/** The interrupts that a function can raise. */
export interface InterruptDescription {
  /** Pin A. Default false. */
  readonly intx?: boolean;
  /** 1, 2, 4, 8, 16 or 32 vectors. */
  readonly msi?: number;
  readonly msix?: number | MsixDescription;
}

/** A PCI function, for `defineDevice`. */
export interface DeviceDescription {
  /** What messages call it. Default: its ids, such as '1234:11e8'. */
  readonly name?: string;
  /** 16 bits. */
  readonly vendor: number;
  /** 16 bits. */
  readonly device: number;
  /** Base class, subclass and programming interface: 24 bits. */
  readonly classCode: number;
  /** 8 bits. Default 0. */
  readonly revision?: number;
  /** 16 bits. Default 0. */
  readonly subsystemVendor?: number;
  /** 16 bits. Default 0. */
  readonly subsystemDevice?: number;
  /** BARs by their number, 0 to 5. */
  readonly regions?: Readonly<Record<number, BarDescription>>;
  readonly interrupts?: InterruptDescription;
  /** Whether it is a PCI Express endpoint: a capability more, and 4096 bytes of configuration space. Default false. */
  readonly express?: boolean;
  /** What vendor-specific capabilities hold behind their three bytes of header: at most 253 bytes each. */
  readonly vendorCapabilities?: readonly Uint8Array[];
  /** The driver, or who has it, resets the function. DMA mappings and interrupts are as before. */
  reset?(): void;
  /** What `device.save()` is to keep of registers and all else that handlers know: what can be cloned (structuredClone). */
  saveState?(): unknown;
  /**
   * Takes what `saveState` gave, in another process perhaps: it is to look at it before it takes it. What it throws, `device.restore`
   * throws, and nothing else of the state was taken.
   */
  restoreState?(state: unknown): void;
}
