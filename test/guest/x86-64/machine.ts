// The x86-64 machine: what QEMU gives the guest, and where the tests find it.
import { join } from 'node:path';
import type { BareKernel, Kernel, Modules } from './kernel.js';

/** Devices of the guest, by what they are for, at their place on the bus. */
export const places = {
  /** MMIO, DMA, MSI and INTx. */
  edu: '0000:00:04.0',
  /** BAR 2 is a file of the host. */
  ivshmem: '0000:00:05.0',
  /** A BAR that cannot be mapped. */
  testdev: '0000:00:06.0',
  /** A BAR with an MSI-X table; can be reset. */
  rng: '0000:00:07.0',
  /** A disk, whose file is the host's too. */
  nvme: '0000:00:0a.0',
  /** Shares its IOMMU group with the neighbour, because both are behind one conventional bridge. */
  shared: '0000:01:01.0',
  neighbour: '0000:01:02.0',
  /** In a slot it can be taken from while the machine runs. */
  pluggable: '0000:02:00.0',
} as const;

/** Those that only a machine with served devices has. */
export const servedPlaces = {
  /** A serial port. */
  serial: '0000:00:0b.0',
  /** The device of the contract. */
  contract: '0000:00:0c.0',
  /** QEMU's own nvme, for comparison. */
  ownNvme: '0000:00:0d.0',
} as const;

/** Those with an IOMMU group of their own. */
export const alone = ['edu', 'ivshmem', 'testdev', 'rng', 'nvme', 'pluggable'] as const;

/** QEMU's name of the device that can be taken away, and what the guest prints to have that done. */
export const pluggableName = 'pluggable';
export const unplugLine = 'guest: take the pluggable device away';

/** The file behind ivshmem's BAR 2: its pieces, in bytes, the first of which the guest fills, and one of the host's. */
export const ivshmem = { size: 1 << 20, piece: 128 << 10, filled: 2, hostPiece: 7, hostSeed: 77 } as const;

/** Of the bytes of the file that the guest writes to a file system on its disk. */
export const fileSeed = 4242;

/** Devices that this package serves over vfio-user, in the machine that has them. */
export const servedNames = ['edu', 'nvme', 'serial', 'contract'] as const;

export function socketOf(work: string, name: (typeof servedNames)[number]): string {
  return join(work, `${name}.sock`);
}

export interface Machine {
  readonly kernel: Kernel;
  readonly modules: Modules;
  readonly initramfs: string;
  /** The folder that host and guest share, at the same path. */
  readonly work: string;
  /** Whether edu and nvme are not QEMU's but served, as a serial port is. */
  readonly served: boolean;
}

/** The disk behind nvme, in bytes: a file of the host. */
export const nvmeBytes = 16 << 20;

export function nvmeFile(work: string): string {
  return join(work, 'nvme.img');
}

/** The same of QEMU's own nvme beside one that is served. */
export function ownNvmeFile(work: string): string {
  return join(work, 'own-nvme.img');
}

/** The file of the host behind ivshmem. */
export function ivshmemFile(work: string): string {
  return join(work, 'ivshmem');
}

/** Where QEMU takes commands while it runs. */
export function monitorSocket(work: string): string {
  return join(work, 'monitor');
}

export interface Start {
  readonly kernel: BareKernel;
  readonly initramfs: string;
  readonly work: string;
  /** Folders of modules that are loaded, first to last. */
  readonly modules: readonly string[];
  /** What the kernel is told besides. */
  readonly line?: string;
}

/** What any guest of this kernel starts with: the kernel, the host's root, and the folder that both write. */
export function startWords({ kernel, initramfs, work, modules, line = '' }: Start): string[] {
  const odd = [...modules, work].find((path) => /[\s,]/.test(path));
  if (odd !== undefined) throw new Error(`QEMU and the guest take no blank or comma in a path: '${odd}'`);
  const shared = (name: string, path: string, more: string) =>
    `local,id=${name},mount_tag=${name},path=${path},security_model=none,multidevs=remap${more}`;
  // On a busy machine the emulated timer comes too late for the kernel's look at it, which then gives up.
  const usual =
    'console=ttyS0 rdinit=/init quiet nokaslr no_timer_check cryptomgr.notests random.trust_cpu=on panic=-1';
  return [
    ...['-display', 'none', '-serial', 'stdio', '-no-reboot', '-kernel', kernel.image, '-initrd', initramfs],
    ...['-append', `${usual} ${line} ismio.work=${work} ismio.modules=${modules.join()}`],
    ...['-virtfs', shared('host', '/', ',readonly=on'), '-virtfs', shared('work', work, '')],
  ];
}

export function machineWords({ kernel, modules, initramfs, work, served }: Machine): string[] {
  const at = (bdf: string) => `addr=0x${bdf.slice(8, 10)}`;
  // Linux's own drivers would map and unmap each transfer, and each map is a message: they pass the IOMMU by.
  const line = `intel_iommu=on${served ? ' iommu=pt' : ''}`;
  return [
    ...[
      '-machine',
      // A server of vfio-user asks for the guest's memory; this is how QEMU can share it.
      `q35,kernel-irqchip=split${served ? ',memory-backend=memory' : ''}`,
      '-accel',
      'tcg',
      '-cpu',
      'max',
      '-smp',
      '2',
      '-m',
      '1024',
      '-nodefaults',
    ],
    ...['-qmp', `unix:${monitorSocket(work)},server=on,wait=off`],
    ...startWords({ kernel, initramfs, work, modules: [kernel.modules[modules], kernel.drivers], line }),
    ...(served ? ['-object', 'memory-backend-memfd,id=memory,size=1024M,share=on'] : []),
    // What is not QEMU's own has to be told of each mapping.
    ...['-device', `intel-iommu,intremap=on${served ? ',caching-mode=on' : ''}`],
    ...['-object', `memory-backend-file,id=shared,mem-path=${ivshmemFile(work)},size=${ivshmem.size},share=on`],
    ...(served ? servedNames.flatMap((name) => servedWords(name, work)) : ownWords(work, at)),
    ...(served ? ownDisk(ownNvmeFile(work), at(servedPlaces.ownNvme)) : []),
    ...['-device', `ivshmem-plain,memdev=shared,${at(places.ivshmem)}`],
    ...['-device', `pci-testdev,${at(places.testdev)}`],
    ...['-device', `virtio-rng-pci,disable-legacy=on,${at(places.rng)}`],
    ...['-device', 'pcie-pci-bridge,id=bridge,addr=0x8'],
    ...['-device', `edu,bus=bridge,${at(places.shared)}`],
    ...['-device', `virtio-rng-pci,bus=bridge,${at(places.neighbour)}`],
    ...['-device', 'pcie-root-port,id=socket,chassis=1,slot=2,addr=0x9'],
    ...['-device', `virtio-rng-pci,disable-legacy=on,bus=socket,id=${pluggableName}`],
  ];
}

function ownWords(work: string, at: (bdf: string) => string): string[] {
  return [...['-device', `edu,${at(places.edu)}`], ...ownDisk(nvmeFile(work), at(places.nvme))];
}

/** QEMU's own controller, with a disk in a file. */
function ownDisk(file: string, place: string): string[] {
  return [
    ...['-drive', `file=${file},if=none,id=disk,format=raw`],
    ...['-device', `nvme,serial=ismio-guest,drive=disk,${place}`],
  ];
}

function servedWords(name: (typeof servedNames)[number], work: string): string[] {
  const socket = { type: 'unix', path: socketOf(work, name) };
  const addr = { ...places, ...servedPlaces }[name].slice(8, 10);
  return ['-device', JSON.stringify({ driver: 'vfio-user-pci', id: name, addr, socket })];
}
