// ismio info: what runs here, and what keeps the PCI functions of this machine from being opened.
import { Command } from 'commander';
import { parseBdf } from './bdf.js';
import { exitCodes } from './failure.js';
import { drawFunction, drawProblems, functionTable } from './functions.js';
import { drawingWidth, print, printJson } from './output.js';
import { addRoots, type RootOptions, rootsOf } from './roots.js';

interface InfoOptions extends RootOptions {
  all?: boolean;
  json?: boolean;
}

const examples = `
Nothing is changed, and no function opened. What to type is to be copied: a line of its own, never wrapped. A disk that is in
use, or the only network link, is told as such: what bind refuses is not advised.

Exit codes: 0 done; with a BDF, 1 it cannot be opened.

Examples:
  ismio info
  ismio info 0000:00:04.0
  ismio info vfio-user:/tmp/edu.sock
  ismio info --all --json`;

export function infoCommand(): Command {
  const command = new Command('info')
    .summary('show the addon, and which PCI functions can be opened')
    .description(
      'show the addon that is loaded and its access kernels; PCI functions, and what is missing to open them',
    )
    .argument('[bdf]', 'one function in full, such as 0000:00:04.0, or vfio-user:PATH of a device that is served')
    .option('--all', 'say what is missing of every function, not of the first ones alone')
    .option('--json', 'print JSON');
  return addRoots(command).addHelpText('after', examples).action(info);
}

async function info(bdf: string | undefined, options: InfoOptions): Promise<void> {
  const [, socket] = /^vfio-user:(.+)$/s.exec(bdf ?? '') ?? [];
  if (socket !== undefined) return (await import('./served.js')).tellServed(socket, options.json === true);
  if (bdf !== undefined) return one(bdf, options);
  const told = (await import('../addon/info.js')).info();
  const roots = rootsOf(options);
  const { machine, functions } = (await import('../pci/diagnose.js')).diagnose(roots);
  if (options.json === true) {
    const { functionJson, machineJson } = await import('../pci/json.js');
    return printJson({ ...told, pci: { machine: machineJson(machine), functions: functions.map(functionJson) } });
  }
  const { kernels } = told;
  const lines = {
    'Node.js': `${told.node} on ${told.platform}-${told.arch}`,
    addon: told.binary,
    CPU: kernels.cpu,
    'memory regions': kernels.memory,
    'device files': `${kernels.mapped} (mapped files of kind device)`,
    'PCI resources': kernels.resource,
    bursts: kernels.burst ?? 'none on this CPU',
    ...(functions.length > 0 ? {} : { 'PCI functions': machine.pci ? 'none' : without(roots.sysfs) }),
  };
  for (const [name, value] of Object.entries(lines)) print(`${name.padEnd(16)}${value}`);
  if (functions.length === 0) return;
  print(`\n${functionTable(functions, drawingWidth())}`);
  const problems = drawProblems(functions, drawingWidth(), options.all === true);
  if (problems !== '') print(problems);
}

async function one(bdf: string, options: InfoOptions): Promise<void> {
  const { diagnoseOne } = await import('../pci/diagnose.js');
  const address = parseBdf(bdf);
  const { machine, functions } = diagnoseOne(rootsOf(options), address);
  const [it] = functions;
  if (it === undefined) throw (await import('../pci/failure.js')).notThere(address, rootsOf(options).sysfs);
  if (options.json === true) {
    const { functionJson, machineJson } = await import('../pci/json.js');
    printJson({ machine: machineJson(machine), function: functionJson(it) });
  } else print(drawFunction(it, drawingWidth()));
  if (!it.openable) process.exitCode = exitCodes.failed;
}

function without(sysfs: string): string {
  return `none to see: ${sysfs}/bus/pci is not there (a container, or a machine without PCI)`;
}
