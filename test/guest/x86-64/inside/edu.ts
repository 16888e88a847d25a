// Registers of QEMU's educational device. Source: QEMU docs/specs/edu.rst.

export const edu = {
  identification: 0x00,
  /** Answers the complement of what was stored. */
  liveness: 0x04,
  factorial: 0x08,
  status: 0x20,
  raise: 0x60,
  acknowledge: 0x64,
  dmaSource: 0x80,
  dmaTarget: 0x88,
  dmaCount: 0x90,
  dmaCommand: 0x98,
} as const;

export const identity = 0x010000ed;
/** Bits of the status register. */
export const computing = 1;
export const interruptWhenDone = 0x80;
/** What the device's own memory is to its DMA engine. */
export const ownMemory = 0x40000n;
/** A transfer's most bytes: the memory has 4096, but QEMU 7.2 aborts on one that reaches its end. */
export const most = 4088;
/** Bits of the DMA command register. */
export const dma = { start: 1n, toMemory: 2n, interrupt: 4n } as const;
/** Value of the interrupt that DMA raises when it is done. */
export const dmaInterrupt = 0x100;
/** The device has 28 address bits. */
export const addressLimit = (1n << 28n) - 1n;
