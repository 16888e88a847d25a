// A build against itself, many times: nothing may be found. `node dist/bench/checks/null.js [times]`
import { packageRoot } from '../../src/support/package.js';
import { quickOptions, runMany } from './runs.js';

const times = Number(process.argv[2] ?? 50);
const all = await runMany(times, { ...quickOptions, base: packageRoot, head: packageRoot });
const wrong = all.filter((found) => 'regressed' in found || 'improved' in found).length;
const unsure = all.filter((found) => 'inconclusive' in found || 'contaminated' in found).length;
console.log(
  `${times} comparisons of a build with itself: ${wrong} found something, ${unsure} were inconclusive or contaminated`,
);
process.exitCode = wrong === 0 ? 0 : 1;
