// The PCI functions of this machine, as sysfs has them. Facts only: what they mean is said in problems.ts.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkOptions, checkText } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { type PciBar, readBars } from './bars.js';
import { compareAddresses, isBdf, kindOf } from './names.js';
import { isThere, linkName, names, readBytes, readNumber, readText } from './tree.js';

/** A PCI function, as sysfs describes it. */
export interface PciFunction {
  /** Its address: domain:bus:device.function, such as '0000:00:04.0'. */
  readonly bdf: string;
  /** A word or two: 'ISM', 'NVMe', 'Ethernet', .. 'unclassified'. */
  readonly kind: string;
  /** Ids are null where sysfs has none, or something that is no number. */
  readonly vendor: number | null;
  /** The device id, 16 bits, which the vendor has given out. */
  readonly device: number | null;
  /** The vendor id of the board, 16 bits. */
  readonly subsystemVendor: number | null;
  /** The device id of the board, 16 bits. */
  readonly subsystemDevice: number | null;
  /** Class, subclass and programming interface, 24 bits in all. */
  readonly classCode: number | null;
  /** The driver as sysfs calls it; null where none has the function. */
  readonly driver: string | null;
  /** The one driver that may have the function; null where any may that knows it. */
  readonly driverOverride: string | null;
  /** The IOMMU group that it is in; null where no IOMMU has it. */
  readonly iommuGroup: PciGroup | null;
  /** Its base address registers that have an address. */
  readonly bars: readonly PciBar[];
  /** How often it was enabled: 0 is disabled. */
  readonly enabled: number | null;
  /** Bits 1 and 2 of the command register. */
  readonly memoryDecode: boolean | null;
  /** Whether it may read and write memory by itself: bit 2 of the command register. */
  readonly busMaster: boolean | null;
  /** What VFIO made of it, once a VFIO driver has it. */
  readonly vfio: VfioNode | null;
  /** What s390x alone knows of it; null elsewhere. */
  readonly zpci: ZpciFacts | null;
}

/** An IOMMU group: its devices can only be given to VFIO together. */
export interface PciGroup {
  /** The group's number, as /dev/vfio and sysfs have it. */
  readonly id: string;
  /** Of VFIO's mode without an IOMMU: nothing checks where the device reads and writes. */
  readonly noiommu: boolean;
  /** Everything in the group, the function itself too. */
  readonly members: readonly GroupMember[];
}

/** A device that shares an IOMMU group with a function. */
export interface GroupMember {
  /** A BDF, or the name of a device that is not on PCI. */
  readonly name: string;
  /** The driver that has it; null where none does. */
  readonly driver: string | null;
  /** Class, subclass and programming interface, 24 bits; null for what is not on PCI. */
  readonly classCode: number | null;
}

/** What the kernel made of a function that a VFIO driver has. */
export interface VfioNode {
  /** 'vfio0': a file of this name is in /dev/vfio/devices if the kernel has the cdev interface. */
  readonly name: string;
  /** Whether the kernel has the cdev interface for it. */
  readonly cdev: boolean;
}

/** Attributes of Linux arch/s390/pci/pci_sysfs.c. */
export interface ZpciFacts {
  /** The function id (fid), 32 bits, from the configuration of the machine. */
  readonly functionId: number | null;
  /** The handle by which instructions name the function; it changes when the function is enabled. */
  readonly functionHandle: number | null;
  /** The physical channel id of the adapter that it is on. */
  readonly pchid: number | null;
  /** The function group: functions of one have the same limits, maxstbl among them. */
  readonly functionGroup: number | null;
  /** The type of the function (pft); 5 is ISM. */
  readonly functionType: number | null;
  /** The number of the virtual function, where it is one. */
  readonly vfn: number | null;
  /** The user-defined id, which becomes the domain of the address where it is unique. */
  readonly uid: number | null;
  /** Whether the machine sees to it that user-defined ids are unique. */
  readonly uidIsUnique: boolean | null;
}

/** Where `listFunctions` looks for functions. */
export interface ListOptions {
  /** Where sysfs is mounted. Default '/sys'. */
  sysfs?: string;
}

/**
 * All functions, in the order of their addresses; none where the machine, or the container, has no PCI.
 * @throws IsmioError ERR_ISMIO_OPEN: sysfs has PCI and cannot be read
 */
export function listFunctions(options: ListOptions = {}): PciFunction[] {
  checkOptions(options, ['sysfs'], 'listFunctions');
  const sysfs = checkText(options.sysfs ?? '/sys', 'sysfs');
  const groups = new Map<string, GroupMember[]>();
  return addresses(sysfs).map((bdf) => readFunction(sysfs, bdf, groups));
}

/** The one with this address, in lower case; null where there is none. */
export function findFunction(sysfs: string, bdf: string): PciFunction | null {
  return isThere(functionFolder(sysfs, bdf)) ? readFunction(sysfs, bdf, new Map()) : null;
}

/** The file of a group, below /dev. Without an IOMMU it has another name (Linux drivers/vfio/group.c, VFIO_NO_IOMMU). */
export function groupFile({ id, noiommu }: PciGroup): string {
  return `vfio/${noiommu ? 'noiommu-' : ''}${id}`;
}

export function functionFolder(sysfs: string, bdf: string): string {
  return join(sysfs, 'bus/pci/devices', bdf);
}

function addresses(sysfs: string): string[] {
  const folder = join(sysfs, 'bus/pci/devices');
  try {
    return readdirSync(folder).filter(isBdf).sort(compareAddresses);
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new IsmioError('ERR_ISMIO_OPEN', `cannot read ${folder}: ${code}`, { path: folder, errno: code }, cause);
  }
}

function readFunction(sysfs: string, bdf: string, groups: Map<string, GroupMember[]>): PciFunction {
  const folder = functionFolder(sysfs, bdf);
  const ids = {
    vendor: readNumber(join(folder, 'vendor')),
    device: readNumber(join(folder, 'device')),
    classCode: readNumber(join(folder, 'class')),
  };
  const override = readText(join(folder, 'driver_override'));
  return {
    bdf,
    kind: kindOf(ids),
    ...ids,
    subsystemVendor: readNumber(join(folder, 'subsystem_vendor')),
    subsystemDevice: readNumber(join(folder, 'subsystem_device')),
    driver: linkName(join(folder, 'driver')),
    // The kernel prints a null pointer for none.
    driverOverride: override === '' || override === '(null)' ? null : override,
    iommuGroup: readGroup(folder, groups),
    bars: readBars(folder),
    enabled: readNumber(join(folder, 'enable')),
    ...readCommand(folder),
    vfio: readVfio(folder),
    zpci: readZpci(folder),
  };
}

/** @param groups what was read of each group already: a group of thousands is read once */
function readGroup(folder: string, groups: Map<string, GroupMember[]>): PciGroup | null {
  const id = linkName(join(folder, 'iommu_group'));
  if (id === null) return null;
  const members = groups.get(id) ?? readMembers(join(folder, 'iommu_group/devices'));
  groups.set(id, members);
  return {
    id,
    noiommu: readText(join(folder, 'iommu_group/name')) === 'vfio-noiommu',
    members,
  };
}

function readMembers(folder: string): GroupMember[] {
  const members = names(folder).sort(compareAddresses);
  return members.map((name) => ({
    name,
    driver: linkName(join(folder, name, 'driver')),
    classCode: readNumber(join(folder, name, 'class')),
  }));
}

/** Config space is little-endian on every machine; the command register is at offset 4. */
function readCommand(folder: string): Pick<PciFunction, 'memoryDecode' | 'busMaster'> {
  const command = readBytes(join(folder, 'config'))?.at(4);
  if (command === undefined) return { memoryDecode: null, busMaster: null };
  return { memoryDecode: (command & 2) !== 0, busMaster: (command & 4) !== 0 };
}

function readVfio(folder: string): VfioNode | null {
  const name = names(join(folder, 'vfio-dev')).find((entry) => /^(noiommu-)?vfio[0-9]+$/.test(entry));
  // The device is there since Linux 6.1; it has a number, and a file, only with CONFIG_VFIO_DEVICE_CDEV.
  return name === undefined ? null : { name, cdev: isThere(join(folder, 'vfio-dev', name, 'dev')) };
}

function readZpci(folder: string): ZpciFacts | null {
  const functionId = readNumber(join(folder, 'function_id'));
  const functionHandle = readNumber(join(folder, 'function_handle'));
  if (functionId === null && functionHandle === null) return null;
  const unique = readNumber(join(folder, 'uid_is_unique'));
  return {
    functionId,
    functionHandle,
    pchid: readNumber(join(folder, 'pchid')),
    functionGroup: readNumber(join(folder, 'pfgid')),
    functionType: readNumber(join(folder, 'pft')),
    vfn: readNumber(join(folder, 'vfn')),
    uid: readNumber(join(folder, 'uid')),
    uidIsUnique: unique === null ? null : unique !== 0,
  };
}
