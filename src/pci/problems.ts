// What keeps a function from being opened, in the order in which to mend it, and the commands that would. Pure.
import type { PciFunction } from './functions.js';
import type { FileState, PciMachine } from './machine.js';
import { isBdf, isBridge, isIsm, isVfioDriver, vfioDriverFor } from './names.js';
import type { FileUser } from './users.js';

/** What is missing to open a function, in a word that does not change between versions. */
export type PciProblemCode =
  | 'no-iommu' // no IOMMU takes care of the function
  | 'noiommu-mode' // VFIO has it, and nothing checks where it reads and writes
  | 'module' // the driver for it is not loaded
  | 'driver' // another driver has it, or none
  | 'group' // something else in its group has a driver of the kernel's own
  | 'no-file' // a device file is missing
  | 'permission' // a device file may not be opened
  | 'in-use' // another process has it open, or this machine uses it: a mounted disk, the only network link
  | 'memory-decode' // its BARs do not answer
  | 'lock-limit'; // little memory can be mapped for DMA

/** One thing that is missing to open a function, and how to mend it. */
export interface PciProblem {
  /** Which problem it is; codes stay the same, messages may change. */
  readonly code: PciProblemCode;
  /** The same for every function that has it, and mended once for all. */
  readonly scope: 'machine' | 'function';
  /** Whether the function cannot be opened for it. */
  readonly blocks: boolean;
  /** What is missing, in words for people. */
  readonly message: string;
  /** What to type to mend it, in this order. Empty where no command can. */
  readonly commands: readonly string[];
}

/** The files that have to be opened, and how that would go. */
export interface VfioWay {
  /** 'group': /dev/vfio/N. 'cdev': /dev/vfio/devices/vfioN with /dev/iommu. */
  readonly api: 'group' | 'cdev';
  /** The device files that have to be opened for it, and what would become of that. */
  readonly files: readonly { readonly path: string; readonly state: FileState }[];
}

export interface Findings {
  /** The way that openVfio takes, then the other one, where the kernel has both. */
  readonly ways: readonly VfioWay[];
  readonly users: readonly FileUser[];
  /** What this machine uses the function at an address for: why `ismio bind` would refuse it. */
  readonly usesOf: (bdf: string) => readonly string[];
}

/** Below this, buffers of an ordinary size do not fit: many systems start with 8 MiB, old ones with 64 KiB. */
const enoughLocked = 64n << 20n;

type Find = (it: PciFunction, machine: PciMachine, findings: Findings) => PciProblem | null;

/** None for a bridge: VFIO does not drive those. */
export function problemsOf(it: PciFunction, machine: PciMachine, findings: Findings): PciProblem[] {
  if (isBridge(it.classCode)) return [];
  return [...findsFor(it, findings), memoryDecode]
    .map((find: Find) => find(it, machine, findings))
    .filter((problem) => problem !== null);
}

/** What to look for. Behind what cannot be mended nothing is told that would be of use only without it. */
function findsFor(it: PciFunction, { usesOf }: Findings): readonly Find[] {
  if (it.iommuGroup?.noiommu === true) return [noIommu];
  if (isOpenableDriver(it)) return [noIommu, group, files, inUse, lockLimit];
  return usesOf(it.bdf).length > 0 ? [used, noIommu] : [noIommu, module, driver, group];
}

/** Whether its driver is the one through which it can be opened. */
export function isOpenableDriver(it: PciFunction): boolean {
  const isVfio = it.vfio !== null || isVfioDriver(it.driver);
  return isVfio && (!isIsm(it) || it.driver !== 'vfio-pci');
}

const used: Find = (it, _, { usesOf }) => {
  const uses = usesOf(it.bdf).join('; ');
  const message = `this machine uses it through ${it.driver}: ${uses}. "ismio bind" does not take it from there`;
  return { code: 'in-use', scope: 'function', blocks: true, message, commands: [] };
};

const noIommu: Find = (it, machine) => {
  const problem = { code: 'no-iommu', scope: 'machine', blocks: true } as const;
  if (it.iommuGroup?.noiommu === true) {
    const message =
      `VFIO has it in its mode without an IOMMU (group ${it.iommuGroup.id}), which is unsafe: nothing keeps the device ` +
      'from reading and writing all memory. openVfio does not use that mode';
    return { ...problem, code: 'noiommu-mode', scope: 'function', message, commands: [] };
  }
  if (it.iommuGroup !== null) return null;
  if (machine.iommus.length > 0) {
    const message = `it is in no IOMMU group, although the kernel drives an IOMMU (${machine.iommus.join(', ')})`;
    return { ...problem, scope: 'function', message, commands: [] };
  }
  const unsafe = machine.noiommu
    ? '. VFIO was told to do without (enable_unsafe_noiommu_mode), which is unsafe, and openVfio does not'
    : '';
  const { message, commands } = howToIommu(machine);
  return { ...problem, message: `the kernel drives no IOMMU: ${message}${unsafe}`, commands };
};

function howToIommu(machine: PciMachine): { message: string; commands: string[] } {
  const { cpu, firmwareTable } = machine;
  if (cpu === 's390x') return { message: 'on s390x it needs one built with CONFIG_S390_IOMMU', commands: [] };
  if (firmwareTable === 'DMAR') {
    return { message: 'the firmware has one; boot with intel_iommu=on', commands: bootWith('intel_iommu=on', machine) };
  }
  if (firmwareTable === 'IVRS') {
    return { message: 'the firmware has one; boot without amd_iommu=off and iommu=off', commands: [] };
  }
  const name = { intel: 'VT-d', amd: 'AMD-Vi', other: 'the IOMMU or SMMU' }[cpu];
  const then = cpu === 'intel' ? ', then boot with intel_iommu=on' : '';
  return { message: `switch ${name} on in the firmware, or give the virtual machine one${then}`, commands: [] };
}

function bootWith(word: string, { bootTool, root }: PciMachine): string[] {
  const sudo = root ? '' : 'sudo ';
  if (bootTool === 'grubby') return [`${sudo}grubby --update-kernel=ALL --args=${word}`, `${sudo}reboot`];
  if (bootTool === null) return [];
  const line = `'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX ${word}"'`;
  const file = '/etc/default/grub.d/iommu.cfg';
  return [`echo ${line} | ${sudo}tee ${file}`, `${sudo}update-grub`, `${sudo}reboot`];
}

const module: Find = (it, machine) => {
  const wanted = vfioDriverFor(it);
  if (machine.vfioDrivers.includes(wanted)) return null;
  const problem = { code: 'module', scope: 'machine', blocks: true } as const;
  if (isIsm(it) && isOlder(machine.kernel, 7, 1)) {
    const message = `the kernel has no driver ${wanted}: it came with Linux 7.1, and this is ${machine.kernel}`;
    return { ...problem, message, commands: [] };
  }
  const name = wanted.replaceAll('_', '-');
  const config = isIsm(it) ? 'CONFIG_ISM_VFIO_PCI' : 'CONFIG_VFIO_PCI';
  const message = `the module ${name} is not loaded (it is in kernels built with ${config})`;
  return { ...problem, message, commands: [`${machine.root ? '' : 'sudo '}modprobe ${name}`] };
};

function isOlder(release: string | null, major: number, minor: number): boolean {
  const [, has = '', hasMinor = ''] = /^([0-9]+)\.([0-9]+)/.exec(release ?? '') ?? [];
  return has !== '' && (Number(has) < major || (Number(has) === major && Number(hasMinor) < minor));
}

const driver: Find = (it, machine) => {
  const wanted = vfioDriverFor(it);
  const has = it.driver === null ? 'no driver has it' : `it has the driver ${it.driver}`;
  const why =
    it.driver === 'vfio-pci' ? ', which gives no access to the BARs of ISM; it needs' : '; to be opened it needs';
  const dashed = it.driverOverride !== wanted && it.driverOverride === wanted.replaceAll('_', '-');
  const name = dashed ? `. Its driver_override says ${it.driverOverride}, which is the module's name` : '';
  return {
    code: 'driver',
    scope: 'function',
    blocks: true,
    message: `${has}${why} ${wanted}${name}`,
    commands: [bindCommand(it.bdf, machine)],
  };
};

function bindCommand(bdf: string, { root }: PciMachine): string {
  return `${root ? '' : 'sudo '}npx ismio bind ${bdf}`;
}

/**
 * Drivers beside which a function can still be opened: they leave DMA to their user, or do none (driver_managed_dma in
 * Linux drivers/pci/pci-stub.c and drivers/pci/pcie/portdrv.c).
 */
const harmless = new Set(['pci-stub', 'pcieport']);

const group: Find = (it, machine, { usesOf }) => {
  const inTheWay = (it.iommuGroup?.members ?? []).filter(
    ({ name, driver, classCode }) =>
      name !== it.bdf && driver !== null && !isVfioDriver(driver) && !harmless.has(driver) && !isBridge(classCode),
  );
  if (inTheWay.length === 0) return null;
  const functions = inTheWay.map(({ name }) => name).filter(isBdf);
  const inUse = functions.filter((name) => usesOf(name).length > 0);
  const told = inTheWay.map(({ name, driver }) => `${name} (${driver})`).join(', ');
  const stays = inUse.map((name) => `. ${name} has to stay: ${usesOf(name).join('; ')}`).join('');
  return {
    code: 'group',
    scope: 'function',
    blocks: true,
    message: `its IOMMU group ${it.iommuGroup?.id} is not viable: the kernel drives ${told} in it${stays}`,
    // With one that stays, moving the others would not make the group viable.
    commands: inUse.length > 0 ? [] : functions.map((name) => bindCommand(name, machine)),
  };
};

const files: Find = (_, { root }, { ways }) => {
  const [way, other] = ways;
  const missing = way?.files.filter(({ state }) => state === 'missing').map(({ path }) => path) ?? [];
  const denied = way?.files.filter(({ state }) => state === 'denied').map(({ path }) => path) ?? [];
  const instead = other?.files.every(({ state }) => state === 'usable')
    ? `. openVfio(bdf, { api: '${other.api}' }) finds its own`
    : '';
  const problem = { scope: 'function', blocks: true } as const;
  if (missing.length > 0) {
    const flags = missing.map((path) => `--device=${path}`).join(' ');
    const message = `not there: ${missing.join(', ')}. A container is given them with ${flags}${instead}`;
    return { ...problem, code: 'no-file', message, commands: [] };
  }
  if (denied.length === 0) return null;
  const message = `this user may not open ${denied.join(', ')}${instead}`;
  const command = `${root ? '' : 'sudo '}chown "$(id -u)" ${denied.join(' ')}`;
  return { ...problem, code: 'permission', message, commands: [command] };
};

const inUse: Find = (_, __, { users }) => {
  if (users.length === 0) return null;
  const told = users.map(({ pid, command }) => `${command} (process ${pid})`).join(', ');
  const message = `it is open in ${told}, and can be so only once`;
  return { code: 'in-use', scope: 'function', blocks: true, message, commands: [] };
};

const memoryDecode: Find = (it, { root }) => {
  // VFIO enables the function when it is opened; through sysfs nobody does. ISM is not to be had through sysfs.
  const isSysfs = !isOpenableDriver(it) && !isIsm(it);
  const matters = isSysfs && it.memoryDecode === false && it.bars.some(({ kind }) => kind === 'memory');
  if (!matters) return null;
  return {
    code: 'memory-decode',
    scope: 'function',
    blocks: false,
    message: 'memory decode is off: its BARs do not answer to openResource (openVfio switches it on)',
    commands: [`echo 1 | ${root ? '' : 'sudo '}tee /sys/bus/pci/devices/${it.bdf}/enable`],
  };
};

const lockLimit: Find = (_, { lockLimit: limit, root }) => {
  if (limit === null || limit >= enoughLocked) return null;
  return {
    code: 'lock-limit',
    scope: 'machine',
    blocks: false,
    message: `this process may lock ${limit >> 10n} KiB of memory (RLIMIT_MEMLOCK), so that dmaMap maps no more`,
    commands: [`${root ? '' : 'sudo '}prlimit --memlock=unlimited --pid $$`],
  };
};
