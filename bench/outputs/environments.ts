// Where two measurements differ in anything but what was measured.
import type { Environment } from '../results.js';

export interface EnvironmentLine {
  readonly name: string;
  /** A null value is told as 'none'. */
  readonly a: string;
  readonly b: string;
  readonly differs: boolean;
}

/** Every line of both, in their order; those that differ are marked. */
export function compareEnvironments(a: Environment, b: Environment): EnvironmentLine[] {
  const [left, right] = [environmentLines(a), environmentLines(b)];
  const names = new Set([...left.keys(), ...right.keys()]);
  return [...names].map((name) => {
    const [before, after] = [left.get(name) ?? 'none', right.get(name) ?? 'none'];
    return { name, a: before, b: after, differs: before !== after };
  });
}

/** What an environment says, line by line, in words. */
export function environmentLines({ kernels, ...rest }: Environment): Map<string, string> {
  const { cpu, cores, arch, kernel, node, governor, load, timerResolution, machine } = rest;
  const entries = { cpu, cores, arch, Linux: kernel, 'Node.js': node, governor, load };
  const chosen = Object.entries(kernels).map(([use, kernel]) => [`kernel: ${use}`, kernel] as const);
  const all = [
    ...Object.entries(entries),
    ['timer resolution', `${timerResolution} ns`] as const,
    ...chosen,
    ['machine', machine] as const,
  ];
  return new Map(all.map(([name, value]) => [name, value === null ? 'none' : String(value)]));
}
