// ismio bind: gives a PCI function to a VFIO driver.
import { Command } from 'commander';
import { parseBdf } from './bdf.js';
import { addRebindOptions, type RebindOptions, rebind } from './rebind.js';
import { addRoots, type RootOptions, rootsOf } from './roots.js';

const examples = `
A function is refused that carries a mounted disk, swap space or the only network link that is up, that is a bridge, or that
a process has open. Every write is shown before it is made; the driver is read back.

Examples:
  ismio bind 0000:00:04.0 --dry-run
  ismio bind 0000:00:04.0
  ismio bind 0000:00:04.0 --driver vfio-pci`;

export function bindCommand(): Command {
  const command = new Command('bind')
    .summary('give a PCI function to a VFIO driver')
    .description('give a PCI function to the VFIO driver that openVfio needs: driver_override, unbind, drivers_probe')
    .argument('<bdf>', 'the function, such as 0000:00:04.0')
    .option('--driver <name>', 'another driver, as sysfs calls it (default: ism_vfio_pci for ISM, else vfio-pci)');
  return addRoots(addRebindOptions(command)).addHelpText('after', examples).action(bind);
}

async function bind(bdf: string, options: RebindOptions & RootOptions & { driver?: string }): Promise<void> {
  const { checkDriver, planBind } = await import('../pci/bind.js');
  const driver = options.driver === undefined ? undefined : checkDriver(options.driver);
  await rebind(planBind(parseBdf(bdf), rootsOf(options), driver), rootsOf(options), options);
}
