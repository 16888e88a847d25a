// Modules of Node.js that take milliseconds to load: each is loaded by what needs it, when it does.
import { createRequire } from 'node:module';

const require = createRequire('/'); // for Node.js' own modules any place will do

export function zlib(): typeof import('node:zlib') {
  return require('node:zlib');
}

export function crypto(): typeof import('node:crypto') {
  return require('node:crypto');
}

/** (Not every Node.js 20 has it as `promises` of node:timers: 20.11 has not.) */
export function timers(): typeof import('node:timers/promises') {
  return require('node:timers/promises');
}

/** It brings streams with it: a third of what `import` would take, for a program that has no Worker. */
export function workerThreads(): typeof import('node:worker_threads') {
  return require('node:worker_threads');
}
