// Registers of QEMU's educational device, for the device (edu.ts) and its driver (edu-driver.ts). Source: QEMU docs/specs/edu.rst.
import { registerMap } from 'ismio/device';

export const eduMap = registerMap({
  registers: {
    identity: { at: 0x00, width: 4, access: 'ro', reset: 0x010000ed },
    /** Answers the complement of what was stored. */
    liveness: { at: 0x04, width: 4 },
    /** Answers the factorial of what was stored, modulo 2^32, when `computing` is over. */
    factorial: { at: 0x08, width: 4 },
    status: { at: 0x20, width: 4, bits: { computing: { at: 0, access: 'ro' }, interruptWhenDone: 7 } },
    /** Why it interrupts: 1 for a factorial, 0x100 for a transfer, else what was stored to `raise`. */
    interruptStatus: { at: 0x24, width: 4, access: 'ro' },
    raise: { at: 0x60, width: 4, access: 'wo' },
    acknowledge: { at: 0x64, width: 4, access: 'wo' },
    dmaSource: { at: 0x80, width: 8 },
    dmaTarget: { at: 0x88, width: 8 },
    dmaCount: { at: 0x90, width: 8 },
    /** `toMemory`: out of the device; else into it. `start` is set until the transfer has ended. */
    dmaCommand: { at: 0x98, width: 8, bits: { start: 0, toMemory: 1, interrupt: 2 } },
  },
});

/** Values of `interruptStatus`. */
export const cause = { factorial: 0x1, dma: 0x100 } as const;
/** What the device's own memory is to its DMA engine. */
export const ownMemory = { at: 0x40000n, length: 4096 } as const;
/** The bus addresses that it reaches: it has 28 address bits. */
export const addressMask = (1n << 28n) - 1n;
