#!/usr/bin/env node
// The command line. It starts without the addon, so that `ismio build` and `--help` work where there is none yet.
import { reportFailure } from './failure.js';
import { endWithoutReader } from './output.js';
import { createProgram } from './program.js';

const words = process.argv.slice(2);
endWithoutReader(words[0]);
const understood = words.length === 0 || words[0] === 'help' ? [...words.slice(1), '--help'] : words;
try {
  await createProgram().parseAsync(understood, { from: 'user' });
} catch (error) {
  process.exitCode = reportFailure(error, words[0]);
}
