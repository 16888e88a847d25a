// ismio unbind: gives a PCI function back to the kernel.
import { Command } from 'commander';
import { parseBdf } from './bdf.js';
import { addRebindOptions, type RebindOptions, rebind } from './rebind.js';
import { addRoots, type RootOptions, rootsOf } from './roots.js';

const examples = `
driver_override is cleared, a VFIO driver lets go, and the kernel looks for a driver of its own. One that has the function
already keeps it. A function that a process has open is refused: the kernel would wait until that closes it.

Examples:
  ismio unbind 0000:00:04.0 --dry-run
  ismio unbind 0000:00:04.0`;

export function unbindCommand(): Command {
  const command = new Command('unbind')
    .summary('give a PCI function back to the kernel')
    .description('take a PCI function from its VFIO driver and give it back to the kernel')
    .argument('<bdf>', 'the function, such as 0000:00:04.0');
  return addRoots(addRebindOptions(command)).addHelpText('after', examples).action(unbind);
}

async function unbind(bdf: string, options: RebindOptions & RootOptions): Promise<void> {
  const { planUnbind } = await import('../pci/bind.js');
  await rebind(planUnbind(parseBdf(bdf), rootsOf(options)), rootsOf(options), options);
}
