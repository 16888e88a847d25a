// Modules of Node.js that take milliseconds to load: programs that import ismio and record nothing do not pay for them.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../package.js';

const require = createRequire(join(packageRoot, 'package.json'));

export function zlib(): typeof import('node:zlib') {
  return require('node:zlib');
}

export function crypto(): typeof import('node:crypto') {
  return require('node:crypto');
}
