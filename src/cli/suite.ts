// --suite: a module of the user's with workloads.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { usageError } from './failure.js';

export const suiteOption = ['--suite <file>', "the workloads of a module instead of the package's own"] as const;

/** The URL of the module. */
export function suiteURL(file: string): URL {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw usageError(`there is no file ${file} with a suite`);
  if (stat.isDirectory()) throw usageError(`${file} is a folder; --suite takes the file of a module`);
  return pathToFileURL(resolve(file));
}
