// A process of a comparison: does what its argument asks for and writes one line of JSON for each workload,
// or one that says what was thrown.
import { type CountRequest, runCounts } from './counting.js';
import { runSlices, type SliceRequest } from './slices.js';

export type Request = ({ task: 'slices' } & SliceRequest) | ({ task: 'counts' } & CountRequest);

const request = JSON.parse(process.argv[2] as string) as Request;
const tell = (result: unknown): void => void process.stdout.write(`${JSON.stringify(result)}\n`);
try {
  if (request.task === 'slices') await runSlices(request, tell);
  else await runCounts(request, tell);
} catch (error) {
  tell({ threw: String((error as Error)?.message ?? error) });
  process.exitCode = 1;
}
