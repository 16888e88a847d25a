// npm run bench: every scenario in a process of its own, so that none finds the compiler or the caches as another left
// them; a table at the end.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import progress from 'cli-progress';
import { Command } from 'commander';
import { info } from 'ismio';
import { table } from './report.js';
import { fullEffort, type Outcome, quickEffort, reached, type Scenario } from './scenario.js';
import { blockScenarios } from './scenarios/blocks.js';
import { emulated } from './scenarios/emulated.js';
import { processScenarios } from './scenarios/process.js';
import { stores } from './scenarios/stores.js';

const scenarios: Scenario[] = [...stores, ...blockScenarios, ...emulated, ...processScenarios];

export interface Row {
  readonly scenario: Scenario;
  readonly outcome: Outcome;
  readonly reached: boolean;
}

/** Runs one scenario in a process of its own. */
function inChild(scenario: Scenario, quick: boolean): Promise<Outcome> {
  const args = [fileURLToPath(import.meta.url), '--child', scenario.name, ...(quick ? ['--quick'] : [])];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(said) as Outcome);
      else reject(new Error(`${scenario.name} ended with exit code ${code}`));
    });
  });
}

function environment(): Record<string, unknown> {
  const { node, arch, kernels } = info();
  return { node, arch, kernels, cpu: cpus()[0]?.model, cores: cpus().length, kernel: release(), load: loadavg()[0] };
}

async function runAll(chosen: readonly Scenario[], quick: boolean): Promise<Row[]> {
  const bar = new progress.SingleBar(
    { format: '{bar} {value}/{total} {name}', noTTYOutput: false },
    progress.Presets.rect,
  );
  if (process.stderr.isTTY) bar.start(chosen.length, 0, { name: '' });
  const rows: Row[] = [];
  for (const scenario of chosen) {
    bar.update(rows.length, { name: scenario.name });
    const outcome = await inChild(scenario, quick);
    rows.push({ scenario, outcome, reached: reached(scenario, outcome.value) });
  }
  bar.stop();
  return rows;
}

const program = new Command('bench')
  .description('Measures the engine against its floors, each in the same run. Figures are ratios or medians.')
  .option('--filter <regex>', 'only scenarios whose name matches')
  .option('--quick', 'a tenth of the time; for a first look, not for a claim', false)
  .option('--json <file>', 'write the results there as well')
  .option('--child <name>', 'run one scenario here and print its outcome as JSON');
const options = program.parse().opts<{ filter?: string; quick: boolean; json?: string; child?: string }>();

if (options.child !== undefined) {
  const scenario = scenarios.find(({ name }) => name === options.child);
  const outcome = await scenario?.run(options.quick ? quickEffort : fullEffort);
  if (outcome === undefined) program.error(`no scenario is called ${options.child}`, { exitCode: 2 });
  process.stdout.write(JSON.stringify(outcome));
} else {
  const chosen = scenarios.filter(({ name }) => new RegExp(options.filter ?? '').test(name));
  if (chosen.length === 0) program.error(`no scenario matches ${options.filter}`, { exitCode: 2 });
  const where = environment();
  const rows = await runAll(chosen, options.quick);
  process.stdout.write(table(rows, where));
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ environment: where, quick: options.quick, rows }, null, 2)}\n`);
  }
}
