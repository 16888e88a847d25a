// Where the figures come from.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { info } from 'ismio';
import type { Environment } from './results.js';

const gibibyte = 2 ** 30;

export function environment(): Environment {
  const { kernels } = info();
  const processors = cpus();
  const stays = {
    cpu: processors[0]?.model.trim() || `unknown ${arch()}`,
    cores: processors.length,
    arch: arch(),
    // Whole GiB: the kernel's own share differs from one kernel to the next.
    memory: Math.round(totalmem() / gibibyte),
    kernels: { ...kernels },
    node: process.versions.node.split('.')[0],
  };
  return {
    cpu: stays.cpu,
    cores: stays.cores,
    arch: stays.arch,
    kernel: release(),
    node: process.version,
    kernels: stays.kernels,
    governor: governor(),
    load: loadavg()[0] as number,
    timerResolution: timerResolution(),
    machine: createHash('sha256').update(JSON.stringify(stays)).digest('hex').slice(0, 16),
  };
}

/** Of the first CPU; virtual machines mostly have none. */
function governor(): string | null {
  try {
    return readFileSync('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor', 'utf8').trim();
  } catch {
    return null;
  }
}

/** Smallest step of the clock between two readings of it that differ, in nanoseconds. */
function timerResolution(): number {
  let smallest = Number.POSITIVE_INFINITY;
  let before = process.hrtime.bigint();
  for (let i = 0; i < 10_000; i++) {
    const now = process.hrtime.bigint();
    if (now > before) smallest = Math.min(smallest, Number(now - before));
    before = now;
  }
  return smallest;
}
