// What holds for every function of the machine and for this process: the IOMMU, the drivers that are there, the rights.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { checkOptions, checkText } from '../support/check.js';
import { isVfioDriver } from './names.js';
import { isThere, names, readText } from './tree.js';

/** Where the file systems are mounted that `diagnose` reads. */
export interface PciRoots {
  /** Where sysfs is mounted. Default '/sys'. */
  sysfs?: string;
  /** Where the device files are. Default '/dev'. */
  dev?: string;
  /** Where procfs is mounted. Default '/proc'. */
  proc?: string;
}

/** What of the machine decides whether its functions can be opened. */
export interface PciMachine {
  /** Whether sysfs has PCI at all. */
  readonly pci: boolean;
  /** The kernel's release, such as '6.12.0'. */
  readonly kernel: string | null;
  /** Whose CPU it is, which decides how an IOMMU is switched on. */
  readonly cpu: 'intel' | 'amd' | 's390x' | 'other';
  /** IOMMUs that the kernel drives. */
  readonly iommus: readonly string[];
  /** The firmware's table of IOMMUs: Intel's DMAR or AMD's IVRS. */
  readonly firmwareTable: 'DMAR' | 'IVRS' | null;
  /** VFIO was told to do without an IOMMU. */
  readonly noiommu: boolean;
  /** VFIO's PCI drivers that are loaded, as sysfs calls them. */
  readonly vfioDrivers: readonly string[];
  /** Bytes that this process may lock, and so map for DMA; null: as many as it likes. */
  readonly lockLimit: bigint | null;
  /** This process runs as root. */
  readonly root: boolean;
  /** What changes the words the kernel is booted with. */
  readonly bootTool: 'grubby' | 'update-grub' | null;
}

/** What became of an attempt to use a device file; nothing was opened for it. */
export type FileState = 'usable' | 'missing' | 'denied';

/** CAP_IPC_LOCK, Linux include/uapi/linux/capability.h. Who has it is held to no limit of locked memory. */
const ipcLock = 1n << 14n;

export function checkRoots(options: PciRoots, where: string): Required<PciRoots> {
  checkOptions(options, ['sysfs', 'dev', 'proc'], where);
  return {
    sysfs: checkText(options.sysfs ?? '/sys', 'sysfs'),
    dev: checkText(options.dev ?? '/dev', 'dev'),
    proc: checkText(options.proc ?? '/proc', 'proc'),
  };
}

export function readMachine({ sysfs, proc }: Required<PciRoots>): PciMachine {
  const status = readText(join(proc, 'self/status')) ?? '';
  const tables = join(sysfs, 'firmware/acpi/tables');
  return {
    pci: isThere(join(sysfs, 'bus/pci/devices')),
    kernel: readText(join(proc, 'sys/kernel/osrelease')),
    cpu: cpuOf(readText(join(proc, 'cpuinfo')) ?? ''),
    iommus: names(join(sysfs, 'class/iommu')),
    firmwareTable: isThere(join(tables, 'DMAR')) ? 'DMAR' : isThere(join(tables, 'IVRS')) ? 'IVRS' : null,
    noiommu: readText(join(sysfs, 'module/vfio/parameters/enable_unsafe_noiommu_mode')) === 'Y',
    vfioDrivers: names(join(sysfs, 'bus/pci/drivers')).filter(isVfioDriver),
    lockLimit: lockLimit(readText(join(proc, 'self/limits')) ?? '', status),
    root: /^Uid:\s+[0-9]+\s+0\s/m.test(status),
    bootTool: isTool('grubby') ? 'grubby' : isTool('update-grub') ? 'update-grub' : null,
  };
}

export function fileState(path: string): FileState {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return 'usable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : 'denied';
  }
}

function isTool(name: string): boolean {
  return ['/usr/sbin', '/usr/bin'].some((folder) => isThere(join(folder, name)));
}

function cpuOf(cpuinfo: string): PciMachine['cpu'] {
  const vendor = /^vendor_id\s*:\s*(\S+)/m.exec(cpuinfo)?.[1];
  if (vendor === 'GenuineIntel') return 'intel';
  if (vendor === 'AuthenticAMD') return 'amd';
  return vendor === 'IBM/S390' ? 's390x' : 'other';
}

function lockLimit(limits: string, status: string): bigint | null {
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const soft = /^Max locked memory\s+([0-9]+|unlimited)/m.exec(limits)?.[1] ?? 'unlimited';
  return soft === 'unlimited' || (capabilities & ipcLock) !== 0n ? null : BigInt(soft);
}
