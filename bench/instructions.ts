// Instructions of the native core for each scenario of bench/native/core_scenarios.cc: a program without Node.js, compiled
// from the sources of the package under measurement, run under callgrind. The count is the same in every run, on a busy
// machine too.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { reasonIn } from '../src/support/reason.js';
import { execute, type Failed } from './execute.js';
import { cacheAdvice, cacheFolder, passingFolder } from './folders.js';

export interface InstructionCount {
  /** 'suite/what/how'. */
  readonly name: string;
  readonly operations: number;
  /** Of all these operations together. */
  readonly instructions: number;
}

/** The counts, or why there are none. */
export type Instructions = { readonly counts: InstructionCount[] } | { readonly missing: string };

/** Who counts: callgrind, exactly and slowly; the CPU, in user mode, where it has a counter that may be read. */
export type Counter = 'callgrind' | 'perf';

interface Scenario {
  readonly name: string;
  readonly operations: number;
}

/** Why something cannot be counted here. */
class Missing extends Error {}

/**
 * Compiles the scenarios that the package at `root` brings and counts the instructions of those whose names fit.
 * @throws Error when a scenario went wrong: a bug, not a machine without the tools
 */
export async function instructionsOf(
  root: string,
  scenarios = /(?:)/,
  counter: Counter = 'callgrind',
  onProgress?: (share: number, doing: string) => void,
): Promise<Instructions> {
  try {
    if (counter === 'callgrind') needsTool('valgrind', 'install valgrind');
    onProgress?.(0, 'compiling');
    const folder = await compiled(root);
    const chosen = (await listed(folder)).filter(({ name }) => name.search(scenarios) >= 0);
    const counts = new Array<InstructionCount>(chosen.length);
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < chosen.length; i = next++) {
        onProgress?.(i / chosen.length, (chosen[i] as Scenario).name);
        counts[i] = await counted(folder, chosen[i] as Scenario, counter);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    return { counts };
  } catch (error) {
    if (error instanceof Missing) return { missing: error.message };
    throw error;
  }
}

function needsTool(name: string, advice: string): void {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  if (folders.some((folder) => existsSync(join(folder, name)))) return;
  throw new Missing(`${name} is not on the PATH: ${advice}`);
}

/** The folder with the program, compiled unless that was done before from the same sources with the same compiler. */
async function compiled(root: string): Promise<string> {
  const harness = join(root, 'bench', 'native');
  if (!existsSync(join(harness, 'instructions.cc'))) throw new Missing(`${root} has no bench/native/instructions.cc`);
  const compiler = process.env['CXX'] ?? 'g++';
  needsTool('make', 'install make and a C++20 compiler');
  if (!compiler.includes('/')) needsTool(compiler.split(' ')[0] as string, 'install a C++20 compiler');
  const key = await fingerprint(root, compiler);
  const cache = cacheFolder('instructions');
  const folder = join(cache, key);
  if (existsSync(join(folder, 'instructions'))) return folder;

  const made = passingFolder(join(cache, 'compiling-'), cacheAdvice);
  try {
    await execute('make', ['-s', `-j${availableParallelism()}`, '-C', harness, `OUT=${made.path}`]);
    for (const name of readdirSync(made.path)) {
      if (name !== 'instructions') rmSync(join(made.path, name), { recursive: true });
    }
    renameSync(made.path, folder);
  } catch (error) {
    // Another process was faster: its program is as good.
    if (existsSync(join(folder, 'instructions'))) return folder;
    const { stderr, message } = error as Failed;
    throw new Missing(`bench/native of ${root} does not compile: ${reasonIn(stderr) ?? message}`);
  } finally {
    made.remove();
  }
  return folder;
}

/** Of everything that the program is made from. */
async function fingerprint(root: string, compiler: string): Promise<string> {
  const hash = createHash('sha256');
  const { stdout } = await execute(compiler.split(' ')[0] as string, ['--version']);
  hash.update(`${compiler}\n${stdout}`);
  for (const folder of ['native', join('bench', 'native')]) {
    const files = readdirSync(join(root, folder), { recursive: true }) as string[];
    for (const file of files.filter((name) => /(\.(cc|h)|Makefile)$/.test(name)).sort()) {
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(root, folder, file)))
        .update('\0');
    }
  }
  return hash.digest('hex').slice(0, 24);
}

async function listed(folder: string): Promise<Scenario[]> {
  const { stdout } = await execute('./instructions', ['--list'], { cwd: folder });
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' ') as [string, string]);
  return rows.map(([name, operations]) => ({ name, operations: Number(operations) }));
}

async function counted(folder: string, scenario: Scenario, counter: Counter): Promise<InstructionCount> {
  const instructions = counter === 'callgrind' ? await collected(folder, scenario) : await retired(folder, scenario);
  return { ...scenario, instructions };
}

/** Always by the same name and with the same environment: both are on the stack, and move what comes after. */
async function collected(folder: string, { name }: Scenario): Promise<number> {
  const options = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--toggle-collect=ismioMeasured'];
  const { PATH } = process.env;
  const { stderr } = await execute('valgrind', [...options, './instructions', name], { cwd: folder, env: { PATH } });
  const told = /Collected : (\d+)/.exec(stderr)?.[1];
  if (told === undefined) throw new Error(`valgrind did not say how many instructions ${name} took: ${stderr.trim()}`);
  return Number(told);
}

async function retired(folder: string, { name }: Scenario): Promise<number> {
  try {
    const { stdout } = await execute('./instructions', ['--perf', name], { cwd: folder });
    return Number(stdout);
  } catch (error) {
    const { code, stderr } = error as { code?: number; stderr?: string };
    if (code === 3) throw new Missing((stderr ?? '').trim());
    throw error;
  }
}
