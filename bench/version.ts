// The version of this package, as results have it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/package.js';

export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;
}
