// The doctor: every function with a verdict, and what to do about it.
import { join } from 'node:path';
import { findFunction, groupFile, listFunctions, type PciFunction } from './functions.js';
import { checkRoots, fileState, type PciMachine, type PciRoots, readMachine } from './machine.js';
import { isBridge } from './names.js';
import { isOpenableDriver, type PciProblem, type PciProblemCode, problemsOf, type VfioWay } from './problems.js';
import { type FileUser, vfioUsers } from './users.js';
import { usesOn } from './uses.js';

/** What `diagnose` found on the machine and in its functions. */
export interface PciDiagnosis {
  /** What of the machine decides over all functions. */
  readonly machine: PciMachine;
  /** The functions of the machine, in ascending order of their addresses. */
  readonly functions: readonly DiagnosedFunction[];
}

/** A function, and what is missing before it can be opened. */
export interface DiagnosedFunction extends PciFunction {
  /** 'ready', 'bridge', or the first thing that keeps it from being opened. */
  readonly verdict: 'ready' | 'bridge' | PciProblemCode;
  /** Whether openVfio can open it. */
  readonly openable: boolean;
  /** Ways to open it, the one that openVfio takes first. Empty until a VFIO driver has the function. */
  readonly ways: readonly VfioWay[];
  /** Processes that have it, or its group, open; as far as this process may see. */
  readonly users: readonly FileUser[];
  /** What is missing, in the order in which it is to be mended; empty where nothing is. */
  readonly problems: readonly PciProblem[];
}

/**
 * All functions, what is missing to open each, and the commands that would mend it. No function is opened, and nothing changed.
 * A disk that no file system of this process is on is opened for a moment, where this user may, as one who wants it for
 * himself: the kernel then says whether something else holds it.
 * @throws IsmioError ERR_ISMIO_OPEN: sysfs has PCI and cannot be read
 */
export function diagnose(options: PciRoots = {}): PciDiagnosis {
  const roots = checkRoots(options, 'diagnose');
  return diagnosis(roots, listFunctions({ sysfs: roots.sysfs }));
}

/** The same of the one with this address, in lower case; no functions where it is not there. */
export function diagnoseOne(roots: Required<PciRoots>, bdf: string): PciDiagnosis {
  const it = findFunction(roots.sysfs, bdf);
  return diagnosis(roots, it === null ? [] : [it]);
}

function diagnosis(roots: Required<PciRoots>, functions: readonly PciFunction[]): PciDiagnosis {
  const machine = readMachine(roots);
  // It takes a look at every descriptor of every process: not where it can find nothing.
  const users = functions.some(isOpenableDriver) ? vfioUsers(roots) : new Map<string, FileUser[]>();
  const usesOf = usesByAddress(functions, roots);
  return { machine, functions: functions.map((it) => diagnosed(it, machine, roots.dev, users, usesOf)) };
}

/** What `ismio bind` would refuse to take a function for, by its address: of these, and of their neighbours in a group. */
function usesByAddress(
  functions: readonly PciFunction[],
  roots: Required<PciRoots>,
): (bdf: string) => readonly string[] {
  const usesOf = usesOn(roots);
  const read = new Map(functions.map((it) => [it.bdf, it]));
  const known = new Map<string, readonly string[]>();
  return (bdf) => {
    const it = read.get(bdf) ?? findFunction(roots.sysfs, bdf);
    const uses = known.get(bdf) ?? (it === null ? [] : usesOf(it));
    known.set(bdf, uses);
    return uses;
  };
}

function diagnosed(
  it: PciFunction,
  machine: PciMachine,
  dev: string,
  users: ReadonlyMap<string, readonly FileUser[]>,
  usesOf: (bdf: string) => readonly string[],
): DiagnosedFunction {
  const ways = isOpenableDriver(it) ? waysTo(it, dev) : [];
  // The last file is the function's own, or its group's; everybody has the others open.
  const own = ways.flatMap(({ files }) => users.get(files.at(-1)?.path ?? '') ?? []);
  const findings = { ways, users: own.filter(({ pid }, i) => own.findIndex((other) => other.pid === pid) === i) };
  const problems = problemsOf(it, machine, { ...findings, usesOf });
  const first = problems.find(({ blocks }) => blocks)?.code ?? 'ready';
  const verdict = isBridge(it.classCode) ? 'bridge' : first;
  return { ...it, verdict, openable: verdict === 'ready', ...findings, problems };
}

/** As openVfio chooses: cdev where the function has one and /dev/iommu is there, else the group. */
function waysTo({ vfio, iommuGroup }: PciFunction, dev: string): VfioWay[] {
  const way = (api: VfioWay['api'], ...paths: string[]): VfioWay => ({
    api,
    files: paths.map((path) => ({ path: join(dev, path), state: fileState(join(dev, path)) })),
  });
  const cdev = vfio?.cdev === true ? [way('cdev', 'iommu', `vfio/devices/${vfio.name}`)] : [];
  const group = iommuGroup === null ? [] : [way('group', 'vfio/vfio', groupFile(iommuGroup))];
  const offered = cdev.some(({ files: [iommu] }) => iommu?.state !== 'missing');
  return offered ? [...cdev, ...group] : [...group, ...cdev];
}
