// A diagnosis as JSON: ids, addresses and sizes in hex, as lspci and sysfs show them, and nothing that JSON has not.
import { hex } from '../support/errors.js';
import type { DiagnosedFunction } from './diagnose.js';
import type { PciMachine } from './machine.js';

export function machineJson(machine: PciMachine): object {
  return { ...machine, lockLimit: machine.lockLimit === null ? null : Number(machine.lockLimit) };
}

export function functionJson(it: DiagnosedFunction): object {
  return {
    ...it,
    vendor: hexOf(it.vendor, 4),
    device: hexOf(it.device, 4),
    subsystemVendor: hexOf(it.subsystemVendor, 4),
    subsystemDevice: hexOf(it.subsystemDevice, 4),
    classCode: hexOf(it.classCode, 6),
    iommuGroup: it.iommuGroup && {
      ...it.iommuGroup,
      members: it.iommuGroup.members.map((member) => ({ ...member, classCode: hexOf(member.classCode, 6) })),
    },
    bars: it.bars.map((bar) => ({ ...bar, address: hex(bar.address), size: hex(bar.size) })),
    zpci: it.zpci && Object.fromEntries(Object.entries(it.zpci).map(([name, value]) => [name, zpciValue(value)])),
  };
}

function zpciValue(value: number | boolean | null): string | boolean | null {
  return typeof value === 'number' ? hex(value) : value;
}

function hexOf(id: number | null, digits: number): string | null {
  return id === null ? null : `0x${id.toString(16).padStart(digits, '0')}`;
}
