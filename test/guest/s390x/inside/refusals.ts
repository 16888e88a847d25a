// What Linux's ism-vfio-pci answers to a pwrite on a strict function whose maxstbl is 128.
//
// Sources: drivers/vfio/pci/ism/main.c for EINVAL and for the count that is cut short at the end of the BAR; QEMU's
// s390-pci-inst.c for the specification exceptions of PCISTB, which arch/s390/pci/pci_insn.c turns into ENXIO.

export interface Case {
  readonly what: string;
  readonly offset: number;
  readonly length: number;
  /** Bytes written, or the name of an errno. */
  readonly answer: number | string;
}

const end = 2 ** 48;

export const cases: readonly Case[] = [
  { what: '1 byte', offset: 0x1000, length: 1, answer: 'ENXIO' },
  { what: '2 bytes', offset: 0x1000, length: 2, answer: 'ENXIO' },
  { what: '4 bytes', offset: 0x1000, length: 4, answer: 'ENXIO' },
  { what: '8 bytes', offset: 0x1000, length: 8, answer: 'ENXIO' },
  { what: '16 bytes', offset: 0x2000, length: 16, answer: 16 },
  { what: '20 bytes', offset: 0x1000, length: 20, answer: 'ENXIO' },
  { what: '24 bytes', offset: 0x2100, length: 24, answer: 24 },
  { what: '64 bytes', offset: 0x2200, length: 64, answer: 64 },
  { what: '128 bytes', offset: 0x2300, length: 128, answer: 128 },
  { what: '136 bytes', offset: 0x3000, length: 136, answer: 'EINVAL' },
  { what: '256 bytes', offset: 0x3000, length: 256, answer: 'EINVAL' },
  { what: '4096 bytes', offset: 0x3000, length: 4096, answer: 'EINVAL' },
  { what: '16 bytes at an offset that is no multiple of 8', offset: 0x1004, length: 16, answer: 'ENXIO' },
  { what: '128 bytes that end where a page does', offset: 0x5f80, length: 128, answer: 128 },
  { what: '128 bytes across a page', offset: 0x5fc0, length: 128, answer: 'EINVAL' },
  { what: '16 bytes at the end of the BAR', offset: end, length: 16, answer: 'EINVAL' },
  { what: '128 bytes at 64 before the end of the BAR', offset: end - 64, length: 128, answer: 64 },
  { what: 'no bytes', offset: 0x1000, length: 0, answer: 0 },
];
