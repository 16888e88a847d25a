// What bind and unbind have in common: the plan is shown, carried out, and what became of it is told.
import type { Command } from 'commander';
import type { DiagnosedFunction } from '../pci/diagnose.js';
import type { PciRoots } from '../pci/machine.js';
import type { BindPlan } from '../pci/plan.js';
import { drawConclusion } from './functions.js';
import { drawingWidth, print, printJson } from './output.js';

export interface RebindOptions {
  dryRun?: boolean;
  force?: boolean;
  json?: boolean;
}

export function addRebindOptions(command: Command): Command {
  return command
    .option('--dry-run', 'show what would be written, and write nothing')
    .option('--force', 'also where the function is in use')
    .option('--json', 'print JSON');
}

export async function rebind(plan: BindPlan, roots: Required<PciRoots>, options: RebindOptions): Promise<void> {
  const { carryOut, checkUses } = await import('../pci/bind.js');
  const { diagnoseOne } = await import('../pci/diagnose.js');
  const { notThere } = await import('../pci/failure.js');
  const tell = options.json === true ? () => undefined : print;
  tell(drawPlan(plan));
  if (options.force !== true) checkUses(plan);
  for (const use of plan.uses) tell(`in use, and done all the same: ${use}`);
  if (options.dryRun !== true) carryOut(plan, roots);
  const [now] = diagnoseOne(roots, plan.bdf).functions;
  if (now === undefined) throw notThere(plan.bdf, roots.sysfs);
  const written = options.dryRun !== true && plan.writes.length > 0;
  if (options.json === true) {
    printJson({ ...plan, written, driver: now.driver, verdict: now.verdict, openable: now.openable });
  } else if (options.dryRun === true) print('A dry run: nothing was written.');
  else for (const line of drawOutcome(plan, now)) print(line);
}

function drawPlan({ bdf, action, from, to, writes }: BindPlan): string {
  const has = from === null ? 'has no driver' : `has the driver ${from}`;
  if (writes.length === 0) return `${bdf} ${has}: nothing to do`;
  const width = Math.max(...writes.map(({ value }) => shown(value).length));
  const lines = writes.map(({ file, value }) => `  write ${shown(value).padEnd(width)} to ${file}`);
  const goes = action === 'bind' ? `; it is given to ${to}` : '; it is given back';
  return [`${bdf} ${has}${goes}:`, ...lines].join('\n');
}

/** As a shell would write it: driver_override is cleared by the end of a line. */
function shown(value: string): string {
  return value === '\n' ? "'\\n'" : value;
}

function drawOutcome({ bdf, action, writes }: BindPlan, now: DiagnosedFunction): string[] {
  const has = now.driver === null ? 'no driver: none wanted it' : `the driver ${now.driver}`;
  const done = writes.length === 0 ? [] : [`${bdf} has ${has}.`];
  return [...done, ...(action === 'bind' ? drawConclusion(now, drawingWidth()) : [])];
}
