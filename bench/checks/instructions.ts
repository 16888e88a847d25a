// node dist/bench/checks/instructions.js [ROOT]: counts the instructions of every scenario twice, in two fresh processes
// each, and says whether the two counts are the same to the instruction.
import Table from 'cli-table3';
import { packageRoot } from '../../src/support/package.js';
import { instructionsOf } from '../instructions.js';

const root = process.argv[2] ?? packageRoot;
const [first, second] = [await instructionsOf(root), await instructionsOf(root)];
if ('missing' in first || 'missing' in second) {
  console.error('missing' in first ? first.missing : (second as { missing: string }).missing);
  process.exit(3);
}
const table = new Table({ head: ['scenario', 'operations', 'instructions', 'again', 'each'], style: { head: [] } });
let differing = 0;
for (const [i, { name, operations, instructions }] of first.counts.entries()) {
  const again = second.counts[i]?.instructions;
  if (again !== instructions) differing++;
  table.push([name, operations, instructions, again, (instructions / operations).toFixed(1)]);
}
console.log(table.toString());
console.log(differing === 0 ? 'every count is the same twice' : `${differing} counts differ`);
process.exitCode = differing === 0 ? 0 : 1;
