// What `ismio block bench` prints: a line for each workload, and what its figures mean.
import Table from 'cli-table3';
import { counted, duration, exact, figure } from '../outputs/figures.js';
import type { DiskReport, DiskResult } from './measure.js';

const columns = ['workload', 'bytes', 'IOPS', 'MB/s', 'p50', 'p99', 'p99.9', 'CPU/IO', 'moves/IO', 'loop p99'];

export function diskTable(report: DiskReport): string {
  const { disk, size, environment } = report;
  const table = new Table({ head: columns, style: { head: [], border: [], compact: true } });
  for (const result of report.results) table.push(row(result));
  const { cpu, cores, kernel, node, load } = environment;
  const machine = `${cpu}, ${cores} cores; Linux ${kernel}; Node.js ${node}; load ${load.toFixed(2)} at the end`;
  return [`${disk}, ${size} bytes`, table.toString(), ...legend(report), machine].join('\n');
}

function row({ workload, bytes, iops, megabytes, latency, cpu, moves, loopDelay }: DiskResult): string[] {
  const { p50, p99, p999 } = latency;
  return [
    ...[workload, exact(bytes), figure(iops), figure(megabytes)],
    ...[p50, p99, p999, cpu].map((nanoseconds) => duration(nanoseconds)),
    ...[moves === null ? '' : figure(moves), `${figure(loopDelay)} ms`],
  ];
}

function legend({ depth, seconds, hasHoles, results }: DiskReport): string[] {
  const rounds = results[0]?.rounds.length ?? 0;
  const writes = results.some(({ workload }) => workload.endsWith('write'));
  const moves = results.some((result) => result.moves !== null);
  return [
    `Medians of ${counted(rounds, 'round')} of ${seconds} s a workload; they took turns, and the first round does not count.`,
    `Latency: from the call to its answer, in this process, with ${counted(depth, 'request')} in flight; a disk in memory has one.`,
    ...(writes
      ? ['Writes: a flush ends each round; it is in IOPS and MB/s, not in the latencies. MB are 10^6 bytes.']
      : []),
    ...(moves ? ['Moves: store blocks of this end for one request; those of the target come besides.'] : []),
    'CPU: of all threads of this process. Loop: delay of its event loop, with the timer of 1 ms that measures it.',
    ...(hasHoles ? ['Parts of the disk are holes: reads of them cost less than reads of data.'] : []),
  ];
}
