// The CPU profile of JavaScript while a workload runs, as the developer tools of browsers and editors open it.
import { Session } from 'node:inspector/promises';
import type { Running } from '../workload.js';

const samplingMicroseconds = 100;

export async function cpuProfile(running: Running, seconds: number): Promise<string> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: samplingMicroseconds });
    await session.post('Profiler.start');
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) await running.batch();
    const { profile } = await session.post('Profiler.stop');
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}
