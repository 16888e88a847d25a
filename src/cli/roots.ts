// Where the kernel's file systems are: elsewhere in a container that was given the host's.
import type { Command } from 'commander';
import type { PciRoots } from '../pci/machine.js';

export interface RootOptions {
  sysfs: string;
  dev: string;
  proc: string;
}

export function addRoots(command: Command): Command {
  return command
    .option('--sysfs <folder>', 'where sysfs is mounted', '/sys')
    .option('--dev <folder>', 'where the device files are', '/dev')
    .option('--proc <folder>', 'where procfs is mounted', '/proc');
}

export function rootsOf({ sysfs, dev, proc }: RootOptions): Required<PciRoots> {
  return { sysfs, dev, proc };
}
