// Patterns as they are typed: what --filter takes.
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError, which commander tells with the name of the option */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
