// ismio completion: a script for the shell, and the hidden command that the script asks which words fit.
//
// The words come from the commands as they are declared, so that none can be forgotten. What completes is loaded by these two
// commands alone. The scripts for bash and zsh are our own: what is typed is handed to ismio as it stands, and never evaluated.
import { readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Complete, Command as Completed, RootCommand } from '@bomb.sh/tab';
import { Argument, Command } from 'commander';
import { packageRoot } from '../support/package.js';
import { bashScript, quoted, zshScript } from './completion-scripts.js';

const shells = ['bash', 'zsh', 'fish'] as const;

const notes = `
The script calls this installation of ismio.

Put it where your shell reads it:
  bash  ismio completion bash > ~/.local/share/bash-completion/completions/ismio
  zsh   ismio completion zsh > "\${fpath[1]}/_ismio"
  fish  ismio completion fish > ~/.config/fish/completions/ismio.fish

For this shell alone:
  source <(ismio completion bash)`;

export function completionCommand(): Command {
  return new Command('completion')
    .summary('print a script by which your shell completes ismio')
    .description(
      'print a script by which a shell completes commands, options, benchmarks, functions and files of ismio',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .addHelpText('after', notes)
    .action(async (shell: string) => {
      const main = join(packageRoot, 'dist', 'src', 'cli', 'main.js');
      const call = `${quoted(process.execPath)} ${quoted(main)}`;
      if (shell === 'bash') process.stdout.write(bashScript(call));
      else if (shell === 'zsh') process.stdout.write(zshScript(call));
      else (await import('@bomb.sh/tab')).script(shell, 'ismio', call);
    });
}

/** What the scripts call: `ismio complete -- WORDS`, the last of which is the one to complete. */
export function completeCommand(): Command {
  return new Command('complete')
    .argument('[words...]')
    .allowUnknownOption()
    .action(async (words: string[], _options: unknown, { parent }: Command) => {
      const { RootCommand } = await import('@bomb.sh/tab');
      const root = new RootCommand();
      if (parent !== null) await describeAll(root, parent, words);
      root.parse([...words]);
    });
}

/** Tells the completion of every command. */
async function describeAll(root: RootCommand, program: Command, words: readonly string[]): Promise<void> {
  const known: Known = {
    word: words.at(-1) ?? '',
    workloads: words[0] === 'profile' ? await workloadNames() : [],
    functions: words.some((word) => ['info', 'bind', 'unbind'].includes(word)) ? await functionAddresses() : [],
  };
  const walk = (command: Command, path: string): void => {
    describe(path === '' ? root : root.command(path, command.summary() || command.description()), command, known);
    for (const one of command.createHelp().visibleCommands(command)) walk(one, `${path} ${one.name()}`.trim());
  };
  walk(program, '');
}

/** What can stand for a value, besides what the declarations say. */
interface Known {
  /** The one to complete. */
  readonly word: string;
  readonly workloads: readonly string[];
  readonly functions: readonly string[];
}

function describe(completed: Completed, command: Command, known: Known): void {
  for (const option of command.createHelp().visibleOptions(command)) {
    const [name, short] = [option.long?.slice(2), option.short?.slice(1)];
    if (name === undefined) continue;
    const takesValue = option.required || option.optional;
    if (!takesValue) completed.option(name, option.description, short);
    else
      completed.option(
        name,
        option.description,
        offer(valuesOf(valueName(option.flags), option.argChoices, known)),
        short,
      );
  }
  for (const argument of command.registeredArguments) {
    const offered = offer(valuesOf(argument.name(), argument.argChoices, known));
    completed.argument(argument.name(), offered, argument.variadic);
  }
}

/** 'file' of '--out <file>'. */
function valueName(flags: string): string {
  return /[<[]([\w-]+)/.exec(flags)?.[1] ?? '';
}

const paths = new Set(['file', 'folder', 'directory', 'dir', 'path', 'results', 'base', 'head', 'disk', 'source']);

function valuesOf(name: string, choices: readonly string[] | undefined, known: Known): readonly string[] {
  if (choices !== undefined) return choices;
  if (paths.has(name)) return pathsLike(known.word);
  if (name === 'workload') return [...known.workloads, ...pathsLike(known.word)];
  return name === 'bdf' ? known.functions : [];
}

function offer(values: readonly string[]): (complete: Complete) => void {
  return (complete) => {
    for (const value of values) complete(value, '');
  };
}

/** Files and folders that begin so; '--out=res' has its beginning behind the sign. */
function pathsLike(word: string): string[] {
  const begun = word.startsWith('-') ? word.slice(word.indexOf('=') + 1) : word;
  const folder = begun.endsWith('/') ? begun : begun.includes('/') ? `${dirname(begun)}/` : '';
  const found = entriesOf(folder, begun.endsWith('/') ? '' : basename(begun));
  // With what is in it, so that a shell does not take the one folder for the whole word, and puts no space behind it.
  const [only] = found;
  return found.length === 1 && only?.endsWith('/') ? [only, ...entriesOf(only, '')] : found;
}

function entriesOf(folder: string, beginning: string): string[] {
  try {
    const read = folder.startsWith('~/') ? join(homedir(), folder.slice(2)) : folder || '.';
    return readdirSync(read)
      .filter((name) => name.startsWith(beginning) && (beginning !== '' || !name.startsWith('.')))
      .map((name) => `${folder}${name}${isFolder(join(read, name)) ? '/' : ''}`);
  } catch {
    return []; // nothing that could be completed there
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

async function workloadNames(): Promise<string[]> {
  const { loadWorkloads } = await import('../../bench/suites/index.js');
  return (await loadWorkloads()).map(({ name }) => name);
}

async function functionAddresses(): Promise<string[]> {
  const { listFunctions } = await import('../pci/functions.js');
  return listFunctions().map(({ bdf }) => bdf);
}
