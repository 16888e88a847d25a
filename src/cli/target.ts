// TARGETs, and the options that say how to treat them.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Rules } from '../access/rules.js';
import type { Region } from '../region/region.js';
import type { PciDevice } from '../vfio/pci-device.js';
import { usageError } from './failure.js';
import { parseCount, parseWhole } from './numbers.js';

export type Target =
  | { readonly what: 'emulated'; readonly size: bigint }
  | { readonly what: 'file'; readonly path: string }
  | { readonly what: 'resource'; readonly bdf: string; readonly bar: number }
  | { readonly what: 'vfio'; readonly bdf: string; readonly index: number }
  | { readonly what: 'vfio-user'; readonly path: string; readonly index: number };

export const targetForms = 'emulated:SIZE, file:PATH, resource:BDF/BAR, vfio:BDF/REGION or vfio-user:PATH/REGION';

export interface RuleOptions {
  maxStoreBlock?: number;
  boundary?: number;
  alignment?: Rules['alignment'];
  singleStores?: boolean;
}

export interface TargetOptions extends RuleOptions {
  kind?: 'device' | 'memory';
  burst?: boolean;
}

export function parseTarget(text: string): Target {
  const [, what, rest = ''] = /^([a-z-]+):(.+)$/s.exec(text) ?? [];
  if (what === 'emulated') return { what, size: parseWhole(rest) };
  if (what === 'file') return { what, path: rest };
  const [, bdf, number] = /^(.+)\/([0-9]+)$/s.exec(rest) ?? [];
  if (what === 'resource' && bdf !== undefined) return { what, bdf, bar: Number(number) };
  if (what === 'vfio' && bdf !== undefined) return { what, bdf, index: Number(number) };
  if (what === 'vfio-user' && bdf !== undefined) return { what, path: bdf, index: Number(number) };
  throw new InvalidArgumentError(`It has to be ${targetForms}.`);
}

/** What a store block may be: for commands that plan. */
export function addRuleOptions(command: Command): Command {
  return command
    .option('--max-store-block <bytes>', 'most bytes in one store block (default: 4096)', parseCount)
    .option('--boundary <bytes>', 'a store block does not cross a multiple of this (default: 4096)', parseCount)
    .addOption(
      new Option(
        '--alignment <how>',
        'store blocks begin and end anywhere, or at multiples of 8 (default: relaxed)',
      ).choices(['relaxed', 'strict']),
    )
    .option('--no-single-stores', 'there are store blocks alone, as on ism-vfio-pci');
}

export function kindOption(): Option {
  return new Option(
    '--kind <kind>',
    'touch the target as a device, or copy it as memory (default: memory for file:, else device)',
  ).choices(['device', 'memory']);
}

export function rulesOf(options: RuleOptions): Partial<Rules> {
  const { maxStoreBlock, boundary, alignment, singleStores } = options;
  return {
    ...(maxStoreBlock !== undefined && { maxStoreBlock }),
    ...(boundary !== undefined && { boundary }),
    ...(alignment !== undefined && { alignment }),
    // Commander sets it to true where the option is not given: then the target's own rules stand.
    ...(singleStores === false && { singleStores }),
  };
}

/** Opens the target; without write access where `writable` is false. Loads the addon. */
export async function openTarget(target: Target, options: TargetOptions, writable: boolean): Promise<Region> {
  const open = await targetOpener(target, options, writable);
  return open({});
}

/** Loads the addon; the answer opens the target, with these rules where the options have no others. */
export async function targetOpener(
  target: Target,
  options: TargetOptions,
  writable: boolean,
): Promise<(rules: Partial<Rules>) => Region> {
  const { emulate, mapFile, openResource } = await import('../region/open.js');
  const { openVfio } = await import('../vfio/open.js');
  const { openVfioUser } = await import('../vfio-user/client.js');
  const { recordOpened } = await import('../record/environment.js');
  const { recordWhereWanted } = await import('../record/wanted.js');
  recordWhereWanted(recordOpened);
  const kind = options.kind === undefined ? {} : { kind: options.kind };
  const burst = options.burst === undefined ? {} : { burst: options.burst };
  return (given) => {
    // The region keeps its device open, and the end of the command closes both.
    const regionOf = (device: PciDevice, index: number): Region => {
      return device.region(index, { rules, ...(writable ? {} : { writable }), ...burst });
    };
    const rules = { ...given, ...rulesOf(options) };
    switch (target.what) {
      case 'emulated':
        if (options.burst === true) throw usageError('--burst is for file:, resource: and vfio: targets');
        return emulate({ size: target.size, rules, ...kind, name: targetName(target) });
      case 'file':
        return mapFile(target.path, { rules, writable, ...kind, ...burst });
      case 'resource':
        if (options.kind !== undefined) throw usageError('--kind is for emulated: and file: targets');
        return openResource(target.bdf, target.bar, { rules, writable, ...burst });
      case 'vfio':
        if (options.kind !== undefined) throw usageError('--kind is for emulated: and file: targets');
        return regionOf(openVfio(target.bdf), target.index);
      case 'vfio-user':
        if (options.kind !== undefined) throw usageError('--kind is for emulated: and file: targets');
        return regionOf(decoding(openVfioUser(target.path)), target.index);
    }
  };
}

/** Nobody has set a device up that is only served: the kernel does that to those it has. */
function decoding(device: PciDevice): PciDevice {
  if (!device.memory) device.enableMemory();
  return device;
}

/** The target as it is written. */
export function targetName(target: Target): string {
  switch (target.what) {
    case 'emulated':
      return `emulated:${target.size}`;
    case 'file':
      return `file:${target.path}`;
    case 'resource':
      return `resource:${target.bdf}/${target.bar}`;
    case 'vfio':
      return `vfio:${target.bdf}/${target.index}`;
    case 'vfio-user':
      return `vfio-user:${target.path}/${target.index}`;
  }
}
