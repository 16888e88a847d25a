// PCI functions for a terminal: a table with a verdict each, and what to do about it.
import Table from 'cli-table3';
import { onlyColumns, wrapped } from '../demo/draw.js';
import type { PciBar } from '../pci/bars.js';
import type { DiagnosedFunction } from '../pci/diagnose.js';
import type { PciFunction } from '../pci/functions.js';
import { isIsm, vfioDriverFor } from '../pci/names.js';
import type { PciProblem } from '../pci/problems.js';
import { hex } from '../support/errors.js';
import { count } from './output.js';

const verdicts: Readonly<Record<Exclude<DiagnosedFunction['verdict'], 'ready' | 'driver'>, string>> = {
  bridge: 'bridge: not for VFIO',
  'no-iommu': 'no IOMMU',
  'noiommu-mode': 'UNSAFE: no IOMMU',
  module: 'module not loaded',
  group: 'group not viable',
  'no-file': 'device file missing',
  permission: 'no permission',
  'in-use': 'in use',
  'memory-decode': 'memory decode off',
  'lock-limit': 'lock limit',
};

/** Functions that are told of one by one before the rest is left to --all. */
const told = 8;

/** Room for the BARs as well. */
const wide = 100;

export function functionTable(functions: readonly DiagnosedFunction[], columns: number): string {
  const withBars = columns >= wide;
  const table = new Table({
    head: ['function', 'ids', 'kind', 'driver', 'group', ...(withBars ? ['BARs'] : []), 'verdict'],
    chars: { ...onlyColumns, middle: '  ' }, // six columns fit 80
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const it of functions) {
    const bars = it.bars.map((bar) => `${bar.index}:${barSize(bar)}`).join(' ');
    const [group, driver] = [it.iommuGroup?.id ?? '-', it.driver ?? '-'];
    table.push([it.bdf, ids(it), it.kind, driver, group, ...(withBars ? [bars] : []), verdictOf(it)]);
  }
  return table.toString().replaceAll(/ +$/gm, '');
}

/** What is the matter, the whole machine first. Empty where nothing is. */
export function drawProblems(functions: readonly DiagnosedFunction[], columns: number, all: boolean): string {
  const worthTelling = functions
    .filter((it) => it.problems.length > 0 && (all || isIsm(it) || it.bars.length > 0))
    .sort((one, other) => rank(one) - rank(other));
  const shown = all ? worthTelling : worthTelling.slice(0, told);
  const lines: string[] = [];
  const everywhere = new Map(
    worthTelling.flatMap(({ problems }) =>
      problems.filter(({ scope }) => scope === 'machine').map((problem) => [problem.message, problem]),
    ),
  );
  if (everywhere.size > 0) lines.push('', 'On the whole machine:', ...steps(everywhere.values(), columns));
  for (const { bdf, kind, problems } of shown) {
    const own = problems.filter(({ scope }) => scope === 'function');
    if (own.length > 0) lines.push('', `${bdf}, ${kind}:`, ...steps(own, columns));
  }
  const left = worthTelling.length - shown.length;
  if (left > 0) lines.push('', `.. and ${count(left, 'more function')}: ismio info BDF tells of one, --all of each`);
  return lines.join('\n');
}

/** The nearest to being opened comes first: ISM, what VFIO has, what nobody has, and then what the kernel uses. */
function rank(it: DiagnosedFunction): number {
  if (isIsm(it)) return 0;
  if (it.ways.length > 0) return 1;
  return it.driver === null ? 2 : 3;
}

/** One function in full. */
export function drawFunction(it: DiagnosedFunction, columns: number): string {
  const facts = Object.entries(factsOf(it)).filter(([, value]) => value !== null);
  const lines = facts.map(([name, value]) => `  ${name.padEnd(18)}${hanging(value ?? '', columns, 20)}`);
  return [`${it.bdf}  ${ids(it)}  ${it.kind}`, ...lines, '', ...drawConclusion(it, columns)].join('\n');
}

/** Whether it can be opened, and what there is to do or to mind. */
export function drawConclusion(it: DiagnosedFunction, columns: number): string[] {
  if (it.verdict === 'bridge') return ['It is a bridge: VFIO drives none.'];
  const [way] = it.ways;
  const can = `It can be opened: openVfio('${it.bdf}') takes ${way?.files.at(-1)?.path} (${way?.api}).`;
  const notes = it.openable && it.problems.length > 0 ? ['Mind:'] : [];
  const verdict = it.openable ? [can, ...notes] : ['It cannot be opened. In this order:'];
  return [...verdict, ...steps(it.problems, columns)];
}

function factsOf(it: DiagnosedFunction): Record<string, string | null> {
  const others = it.iommuGroup?.members.filter(({ name }) => name !== it.bdf) ?? [];
  const beside = others.map(({ name, driver }) => `${name} (${driver ?? 'no driver'})`).join(', ');
  const decode = `memory decode ${onOff(it.memoryDecode)}, bus master ${onOff(it.busMaster)}`;
  const bars = it.bars.map((bar) => [`BAR ${bar.index}`, barText(bar)]);
  const users = it.users.map(({ pid, command }) => `${command} (process ${pid})`).join(', ');
  return {
    subsystem: `${id(it.subsystemVendor)}:${id(it.subsystemDevice)}`,
    class: id(it.classCode, 6),
    driver: it.driver ?? 'none',
    driver_override: it.driverOverride,
    'IOMMU group': it.iommuGroup && `${it.iommuGroup.id}, ${beside === '' ? 'alone in it' : `with ${beside}`}`,
    ...Object.fromEntries(bars),
    'command register': decode,
    enabled: it.enabled === null ? null : it.enabled === 0 ? 'no' : count(it.enabled, 'time'),
    ...Object.fromEntries(it.ways.map(({ api, files }) => [`${api} way`, filesText(files)])),
    'open in': users === '' ? null : users,
    zPCI: it.zpci && zpciText(it.zpci),
  };
}

function filesText(files: DiagnosedFunction['ways'][number]['files']): string {
  return files.map(({ path, state }) => (state === 'usable' ? path : `${path} (${state})`)).join(', ');
}

function zpciText(facts: object): string {
  return Object.entries(facts)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${words(name)} ${typeof value === 'number' ? hex(value) : value}`)
    .join(', ');
}

/** functionId: 'function id'. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function steps(problems: Iterable<PciProblem>, columns: number): string[] {
  return [...problems].flatMap(({ message, commands }, i) => [
    `  ${i + 1}. ${hanging(message, columns, 5)}`,
    ...commands.map((command) => `       ${command}`), // never wrapped: it is copied
  ]);
}

/** A text behind `indent` columns of something else. */
function hanging(text: string, columns: number, indent: number): string {
  return wrapped(text, columns - indent).replaceAll('\n', `\n${' '.repeat(indent)}`);
}

function verdictOf(it: DiagnosedFunction): string {
  if (it.verdict === 'driver') return `needs ${vfioDriverFor(it)}`;
  return it.verdict === 'ready' ? `ready (${it.ways[0]?.api})` : verdicts[it.verdict];
}

function ids({ vendor, device }: PciFunction): string {
  return `${id(vendor)}:${id(device)}`;
}

function id(value: number | null, digits = 4): string {
  return value === null ? '?'.repeat(digits) : value.toString(16).padStart(digits, '0');
}

function onOff(value: boolean | null): string {
  return value === null ? 'unknown' : value ? 'on' : 'off';
}

function barText(bar: PciBar): string {
  const { kind, address, prefetchable, wide } = bar;
  const words = [barSize(bar), kind, wide ? '64 bit' : '', prefetchable ? 'prefetchable' : '', `at ${hex(address)}`];
  return words.filter((word) => word !== '').join(', ');
}

/** 4K, 256T: as sizes are typed. */
function barSize({ size }: PciBar): string {
  const steps = ['', 'K', 'M', 'G', 'T'];
  let [rest, step] = [size, 0];
  while (rest % 1024n === 0n && step < steps.length - 1) {
    rest /= 1024n;
    step++;
  }
  return `${rest}${steps[step]}`;
}
