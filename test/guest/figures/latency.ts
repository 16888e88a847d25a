// From an eventfd to a handler in JavaScript, against a loop in C that polls.
import { spawn } from 'node:child_process';
import { median } from 'simple-statistics';
import { noHandle } from '../../../src/addon/handles.js';
import { KernelCalls } from '../../../src/vfio/access.js';
import { VfioIrq } from '../../../src/vfio/irq.js';
import { kernel } from '../../../src/vfio/kernel.js';
import { said } from '../../support/child.js';
import { run } from '../support/run.js';

export interface Latency {
  /** Nanoseconds from the signal until it is known, medians. */
  readonly handler: number;
  readonly c: number;
}

/** Takes turns: `count` signals that C polls for, as many that a listener of 'interrupt' is told. */
export async function latency(program: string, count: number, turns: number): Promise<Latency> {
  const handler: number[] = [];
  const c: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    c.push(median(numbers(await run(program, ['poll', String(count)]))));
    handler.push(median(await told(program, count)));
  }
  return { handler: median(handler), c: median(c) };
}

/** Nanoseconds from each signal until a listener is told. The interrupts are of no device: the program signals their eventfd. */
async function told(program: string, count: number): Promise<number[]> {
  let eventfd = -1;
  const setIrqs = kernel.setIrqs;
  kernel.setIrqs = (_device, _flags, _index, _start, _count, eventfds) => {
    eventfd = eventfds?.[0] ?? eventfd;
    return 0;
  };
  const info = { index: 1, name: 'msi', count: 1, maskable: false, autoMasked: false, resizable: false };
  const irq = new VfioIrq(() => new KernelCalls(noHandle), info, 'no device');
  const times: bigint[] = [];
  irq.on('interrupt', (interrupt) => {
    const now = process.hrtime.bigint();
    for (let i = 0; i < interrupt.count; i++) times.push(now);
  });
  irq.enable();
  try {
    const child = spawn(program, ['signal', String(count)], { stdio: ['ignore', 'pipe', 'pipe', eventfd] });
    const ended = await said(child as never);
    if (ended.code !== 0 || times.length !== count) {
      throw new Error(`${times.length} of ${count} signals were told; the signaller said: ${ended.stderr}`);
    }
    return numbers(ended.stdout).map((sent, i) => Number((times[i] as bigint) - BigInt(sent)));
  } finally {
    irq.disable();
    kernel.setIrqs = setIrqs;
  }
}

function numbers(lines: string): number[] {
  return lines.trim().split('\n').map(Number);
}
