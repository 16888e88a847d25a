// A device at a socket of vfio-user, for a terminal: what it says of itself.
import type { PciCapability } from '../vfio/capabilities.js';
import type { PciDevice } from '../vfio/pci-device.js';
import { print, printJson } from './output.js';

export async function tellServed(path: string, json: boolean): Promise<void> {
  const { openVfioUser } = await import('../vfio-user/client.js');
  const device = openVfioUser(path);
  try {
    if (json) printJson(factsOf(device));
    else for (const line of linesOf(device)) print(line);
  } finally {
    device.close();
  }
}

function factsOf(device: PciDevice): Readonly<Record<string, unknown>> {
  const { info } = device;
  const { vendor, device: id, subsystemVendor, subsystemDevice, classCode, flags } = info;
  return {
    path: device.name,
    ...{ vendor, device: id, subsystemVendor, subsystemDevice, classCode, flags },
    regions: info.regions.map(({ index, name, size, readable, writable, mappable }) => {
      return { index, name, size: Number(size), readable, writable, mappable };
    }),
    irqs: info.irqs.map(({ name, count }) => ({ name, count })),
    capabilities: device.config.capabilities(),
  };
}

function linesOf(device: PciDevice): string[] {
  const { info } = device;
  const ids = [info.vendor, info.device].map((id) => (id ?? 0).toString(16).padStart(4, '0')).join(':');
  const facts: Record<string, string> = {
    class: (info.classCode ?? 0).toString(16).padStart(6, '0'),
    reset: info.flags.reset ? 'yes' : 'no',
    interrupts: info.irqs.map(({ name, count }) => `${name} ${count}`).join(', ') || 'none',
    capabilities: device.config.capabilities().map(nameOf).join(', ') || 'none',
  };
  const regions = info.regions.map(({ name, size, mappable }) => {
    return `  ${name.padEnd(18)}${size} bytes${mappable ? ', mappable' : ''}`;
  });
  return [
    `${device.name}  ${ids}`,
    ...Object.entries(facts).map(([name, value]) => `  ${name.padEnd(18)}${value}`),
    ...regions,
  ];
}

function nameOf({ name, id }: PciCapability): string {
  return name ?? `0x${id.toString(16)}`;
}
