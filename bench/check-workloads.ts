// What a module of workloads has to be: said before anything of it is measured, since a run takes minutes.
import { fileURLToPath } from 'node:url';
import { IsmioError, shown } from '../src/support/errors.js';
import type { Workload } from './workload.js';

/** 'suite/what/how'. */
const nameForm = /^[A-Za-z0-9.-]+\/[A-Za-z0-9.-]+\/[A-Za-z0-9.-]+$/;

export function suiteError(url: string, problem: string, cause?: unknown): IsmioError {
  const path = fileURLToPath(new URL(url));
  return new IsmioError('ERR_ISMIO_SUITE', `${path}: ${problem}`, { path }, cause);
}

/**
 * The workloads that a module exports.
 * @param taken names that others have
 * @throws IsmioError ERR_ISMIO_SUITE
 */
export function checkedWorkloads(
  url: string,
  exported: { workloads?: unknown },
  taken: ReadonlySet<string>,
): Workload[] {
  const { workloads } = exported;
  if (!Array.isArray(workloads)) throw suiteError(url, `exports no array 'workloads', but ${shown(workloads)}`);
  const names = new Set(taken);
  workloads.forEach((workload: unknown, index) => {
    const problem = problemOf(workload, names);
    if (problem === null) return;
    const { name } = (workload ?? {}) as { name?: unknown };
    throw suiteError(url, `workload ${typeof name === 'string' ? name : `number ${index + 1}`} ${problem}`);
  });
  return workloads as Workload[];
}

/** Null where there is none. Its name is among `names` then. */
function problemOf(workload: unknown, names: Set<string>): string | null {
  if (typeof workload !== 'object' || workload === null) return `is no object, but ${shown(workload)}`;
  const { name, bytes, windowBytes, floor, target } = workload as Record<string, unknown>;
  if (typeof name !== 'string' || !nameForm.test(name)) {
    return `has the name ${shown(name)}; it has to be suite/what/how, each of letters, digits, dots and hyphens`;
  }
  if (names.has(name)) return 'has a name that another has';
  names.add(name);
  if (!isWhole(bytes, 0)) return `has the bytes ${shown(bytes)}; they have to be a whole number from 0 on`;
  if (!isWhole(windowBytes, 0))
    return `has the windowBytes ${shown(windowBytes)}; they have to be a whole number from 0 on`;
  return partProblem(workload) ?? floorProblem(floor) ?? targetProblem(target, floor);
}

/** Of what a workload and its floor have in common. */
function partProblem(part: object): string | null {
  const { title, operations, open } = part as Record<string, unknown>;
  if (typeof title !== 'string' || title === '') return `has the title ${shown(title)}; it has to be a text`;
  if (!isWhole(operations, 1))
    return `has the operations ${shown(operations)}; they have to be a whole number from 1 on`;
  return typeof open === 'function' ? null : `has no function open, but ${shown(open)}`;
}

function floorProblem(floor: unknown): string | null {
  if (floor === undefined) return null;
  if (typeof floor !== 'object' || floor === null) return `has a floor that is no object, but ${shown(floor)}`;
  const problem = partProblem(floor);
  return problem === null ? null : `has a floor that ${problem}`;
}

function targetProblem(target: unknown, floor: unknown): string | null {
  if (target === undefined) return null;
  if (floor === undefined) return 'has a target, but no floor that it could be held against';
  const { atLeast, atMost } = (target ?? {}) as Record<string, unknown>;
  const bound = atLeast ?? atMost;
  if (typeof bound === 'number' && bound > 0) return null;
  return `has the target ${shown(target)}; it has to be { atLeast: ratio } or { atMost: ratio }`;
}

function isWhole(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}
