// What functions are called: ISM by its ids, everything else by its class.

/** The form of an address as sysfs writes it. */
export function isBdf(name: string): boolean {
  return /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/.test(name);
}

/**
 * The order of addresses: by number, so that a domain of more than four digits (VMD, Azure) comes behind one of four. What is no
 * address, as a member of an IOMMU group may be, comes behind those.
 */
export function compareAddresses(one: string, other: string): number {
  const domain = (name: string) => (isBdf(name) ? Number.parseInt(name, 16) : Number.POSITIVE_INFINITY);
  const [first, second] = [domain(one), domain(other)];
  if (first !== second) return first - second;
  // Bus, device and function have as many digits in each.
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Linux drivers/s390/net/ism_drv.c, PCI_DEVICE_ID_IBM_ISM. */
export const ism = { vendor: 0x1014, device: 0x04ed } as const;

export function isIsm({ vendor, device }: { vendor: number | null; device: number | null }): boolean {
  return vendor === ism.vendor && device === ism.device;
}

/** Class and subclass, the upper two bytes of the class code (Linux include/linux/pci_ids.h); the commonest. */
const subclasses: Readonly<Record<number, string>> = {
  256: 'SCSI',
  262: 'SATA',
  263: 'SAS',
  264: 'NVMe',
  512: 'Ethernet',
  519: 'InfiniBand',
  768: 'VGA',
  1027: 'audio',
  1536: 'host bridge',
  1537: 'ISA bridge',
  1540: 'PCI bridge',
  1792: 'serial port',
  3075: 'USB',
  3077: 'SMBus',
};

const classes: Readonly<Record<number, string>> = {
  1: 'storage',
  2: 'network',
  3: 'display',
  4: 'multimedia',
  5: 'memory',
  6: 'bridge',
  7: 'communication',
  8: 'system',
  9: 'input',
  12: 'serial bus',
  13: 'wireless',
  15: 'satellite',
  16: 'encryption',
  17: 'signal processing',
  18: 'accelerator',
};

/** A word or two for people. */
export function kindOf(ids: { vendor: number | null; device: number | null; classCode: number | null }): string {
  if (isIsm(ids)) return 'ISM';
  if (ids.classCode === null) return 'unknown';
  return subclasses[ids.classCode >>> 8] ?? classes[ids.classCode >>> 16] ?? 'unclassified';
}

/** PCI-to-PCI and CardBus bridges: VFIO drives none (Linux drivers/vfio/pci/vfio_pci_core.c takes normal headers only). */
export function isBridge(classCode: number | null): boolean {
  return classCode !== null && [0x0604, 0x0607, 0x0609].includes(classCode >>> 8);
}

/** 'vfio-pci' and its variants: ism_vfio_pci, mlx5_vfio_pci, .. */
export function isVfioDriver(driver: string | null): boolean {
  return driver !== null && /(^|[-_])vfio[-_]pci$/.test(driver);
}

/** The driver through which a function is opened, as sysfs calls it. */
export function vfioDriverFor(ids: { vendor: number | null; device: number | null }): string {
  // Its module is ism-vfio-pci; the driver's name is KBUILD_MODNAME, with underscores (Linux drivers/vfio/pci/ism/main.c).
  return isIsm(ids) ? 'ism_vfio_pci' : 'vfio-pci';
}
