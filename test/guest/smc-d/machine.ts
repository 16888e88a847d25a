// The two s390x machines between which SMC-D is to run: each has a function of one fabric, and a network card whose cable is a
// socket between the two, for the handshake of SMC-D and for the TCP that it is compared with.
import { join } from 'node:path';
import { s390xWords } from '../support/s390x-machine.js';
import type { Kernel } from './kernel.js';

/** What a machine does: the one that listens, and the one that connects and looks. */
export type Role = 'listener' | 'connector';

interface Placed {
  readonly gid: bigint;
  /** Chosen ids of a zPCI function: the uid is the domain in its address. */
  readonly uid: number;
  readonly fid: number;
  /** Of the network card. */
  readonly mac: string;
}

export const machines: Readonly<Record<Role, Placed>> = {
  listener: { gid: 0x15_7e4en, uid: 0x1111, fid: 0x11, mac: '52:54:00:00:00:01' },
  connector: { gid: 0xc0_44ecn, uid: 0x2222, fid: 0x12, mac: '52:54:00:00:00:02' },
};

export function socketOf(work: string, name: Role | `cable-${Role}`): string {
  return join(work, `${name}.sock`);
}

const megabytes = 512;

export function machineWords(role: Role, kernel: Kernel, initramfs: string, work: string): string[] {
  const { uid, fid, mac } = machines[role];
  const line = 'console=ttysclp0 rdinit=/init quiet lsm=capability ima_appraise=off nokaslr cryptomgr.notests';
  const device = { driver: 'vfio-user-pci', id: 'ism', socket: { type: 'unix', path: socketOf(work, role) } };
  // Frames as datagrams: in a write to a stream QEMU 11.1 waits for the other to read, and its guest with it.
  const other = role === 'listener' ? 'connector' : 'listener';
  const endOf = (end: string, of: Role) => `${end}.type=unix,${end}.path=${socketOf(work, `cable-${of}`)}`;
  return [
    ...s390xWords(megabytes),
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', `${line} random.trust_cpu=on role=${role}`],
    ...['-netdev', `dgram,id=cable,${endOf('local', role)},${endOf('remote', other)}`],
    ...['-device', `virtio-net-ccw,netdev=cable,mac=${mac}`],
    ...['-device', JSON.stringify(device), '-device', `zpci,uid=${uid},fid=${fid},target=ism`],
  ];
}
