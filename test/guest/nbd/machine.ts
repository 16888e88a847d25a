// The machine whose kernel is a client of NBD: what QEMU gives it, where the tests find the exports, and what they ask of the host.
import { type Start, startWords } from '../x86-64/machine.js';

/** The host's loopback, as QEMU's user network has it. */
export const host = '10.0.2.2';
/** The guest in that network. */
export const address = '10.0.2.15/24';

/** nbd, the card of the network, and a file system. */
export const drivers = ['nbd', 'virtio_net', 'crc32c_generic', 'ext4'];

/** The disks: one in a file of the host, and one in a file of another ISM function. */
export const names = ['file', 'ism'] as const;
export type Name = (typeof names)[number];

const mebibyte = 2 ** 20;
export const sizes = { file: 48 * mebibyte, ism: 48 * mebibyte, grown: 80 * mebibyte } as const;

/** Of what is written and given back, which is more than all that is kept. */
export const largeBytes = 12 * mebibyte;

/** Where the first partition begins. */
export const partitionStart = mebibyte;

/** Of the bytes of the files that the guest writes, as `pattern` has them. */
export const seedOf = (name: Name, index: number) => (name === 'file' ? 1000 : 2000) + index;

/** What the guest prints to have something done. */
export const asked = {
  /** The server of the file ends as it should. */
  end: 'guest: end the server',
  /** It is killed. */
  kill: 'guest: kill the server',
  /** It serves again, at the same port. */
  again: 'guest: serve again',
  /** The file is longer than it was, and served again. */
  grow: 'guest: serve more',
  /** The target of the other disk is killed, and started again. */
  killTarget: 'guest: kill the target',
} as const;

export function machineWords(start: Start): string[] {
  return [
    ...['-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', '768', '-nodefaults'],
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net'],
    ...startWords(start),
  ];
}
