// A command that is nothing but its commands: what it says where none of them was named, or one that it does not have.
import type { Command } from 'commander';
import { usageError } from './failure.js';

/** Once all its commands are added. */
export function refuseOthers(family: Command): Command {
  const names = family.commands.map((command) => command.name());
  const all = `ismio ${family.name()} ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  // Counted, the words would be told as too many; here they are looked at.
  return family.helpCommand(false).action((_options: unknown, { args: [word] }: Command) => {
    throw usageError(word === undefined ? `say what to do: ${all}` : `'${word}' is no command of it: ${all}`);
  });
}
