// The command line as it is declared: what documents say of it is held against this.
import type { Command } from 'commander';

/** The options of each command by its long names; those of its own commands with them. */
export function commandsOf(program: Command): Map<string, Set<string>> {
  const help = program.createHelp();
  const optionsOf = (command: Command): string[] => [
    ...help.visibleOptions(command).map(({ long }) => long ?? ''),
    ...help.visibleCommands(command).flatMap(optionsOf),
  ];
  return new Map(help.visibleCommands(program).map((command) => [command.name(), new Set(optionsOf(command))]));
}

/** The section of docs/api/cli.md. */
export function referenceOf(program: Command): string {
  const help = program.createHelp();
  const parts: string[] = ['## Every option', 'As `--help` tells them; every command has `--help` besides.'];
  const walk = (command: Command, path: string): void => {
    const subcommands = help.visibleCommands(command);
    for (const one of subcommands) walk(one, `${path} ${one.name()}`);
    if (subcommands.length > 0) return;
    const words = command.registeredArguments.map((one) => help.argumentTerm(one));
    const signature = [
      path,
      ...command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`)),
    ];
    const rows = [
      ...command.registeredArguments.map((one, index) => row(words[index] as string, help.argumentDescription(one))),
      ...help
        .visibleOptions(command)
        .filter(({ long }) => long !== '--help')
        .map((option) => row(option.flags, help.optionDescription(option))),
    ];
    parts.push(
      `### ${signature.join(' ')}`,
      rows.length === 0 ? 'No options.' : ['| word | is |\n|---|---|', ...rows].join('\n'),
    );
  };
  walk(program, 'ismio');
  return `${parts.join('\n\n')}\n`;
}

function row(word: string, description: string): string {
  return `| \`${word.replaceAll('|', '\\|')}\` | ${description.replaceAll('|', '\\|').replaceAll('<', '&lt;')} |`;
}
