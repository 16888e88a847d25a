// The s390x machine: the functions that QEMU gives the guest, served by test doubles but for one, and where the guest finds them.
import { join } from 'node:path';
import { s390xWords } from '../support/s390x-machine.js';
import type { FunctionOptions } from './double/device.js';
import type { Kernel } from './kernel.js';

interface Placed extends FunctionOptions {
  /** Chosen ids of a zPCI function: the uid is the domain in its address, the fid names its hotplug slot. */
  readonly uid: number;
  readonly fid: number;
}

/** Vendor and device of ISM, and its BARs: a window of 2^48 bytes and a command page (Linux drivers/s390/net/ism.h). */
const ism: FunctionOptions = { vendor: 0x1014, device: 0x04ed, classCode: 0x02_0000, bars: { 0: 2n ** 48n, 2: 4096n } };

/** The ids of QEMU's pci-testdev, to which no driver of Linux lays claim. */
const plain: FunctionOptions = { vendor: 0x1b36, device: 0x0005, classCode: 0x00_ff00, bars: { 0: 65536n } };

export const functions = {
  ism: { ...ism, uid: 0x1234, fid: 0x77 },
  plain: { ...plain, uid: 0x2345, fid: 0x78 },
  /** Like plain: functions are measured at the same time. */
  other: { ...plain, uid: 0x3456, fid: 0x79 },
  /** Its server dies in the middle of a batch. */
  orphan: { ...ism, uid: 0x4567, fid: 0x7a },
  /** Is reset, and then taken away, in the middle of a batch. */
  leaving: { ...ism, uid: 0x5678, fid: 0x7b },
  /** Reads memory by itself, where it was not given any. */
  stray: { ...ism, uid: 0x6789, fid: 0x7c },
  /** No double: a function of this package's fabric. */
  fabric: { ...ism, uid: 0x789a, fid: 0x7d },
} as const satisfies Record<string, Placed>;

/** At a load of this register in BAR 0 the function `stray` reads memory, at the bus address that it holds. */
export const strayRegister = 0x1000;

/** The read of BAR 0 at which the orphan's server dies. */
export const mortalReads = 200;

export type FunctionName = keyof typeof functions;

/** PCI address in the guest. */
export function address(name: FunctionName): string {
  return `${functions[name].uid.toString(16)}:00:00.0`;
}

export function socketOf(work: string, name: FunctionName): string {
  return join(work, `${name}.sock`);
}

export interface Machine {
  readonly kernel: Kernel;
  readonly initramfs: string;
  /** The folder with the sockets of the functions' servers. */
  readonly work: string;
}

const megabytes = 768; // Node.js and the archive it comes in

export function machineWords({ kernel, initramfs, work }: Machine): string[] {
  const line =
    'console=ttysclp0 rdinit=/init quiet lsm=capability ima_appraise=off nokaslr cryptomgr.notests random.trust_cpu=on';
  return [
    ...s390xWords(megabytes),
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', line],
    ...Object.keys(functions).flatMap((name) => functionWords(name as FunctionName, work)),
  ];
}

function functionWords(id: FunctionName, work: string): string[] {
  const { uid, fid } = functions[id];
  const device = { driver: 'vfio-user-pci', id, socket: { type: 'unix', path: socketOf(work, id) } };
  return ['-device', JSON.stringify(device), '-device', `zpci,uid=${uid},fid=${fid},target=${id}`];
}
