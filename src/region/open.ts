// Opening regions: emulated, a mapped file, a PCI resource.
import { join } from 'node:path';
import { checkLimits, checkRules, type Rules, resourceLimits, resourceRules, ruleArguments } from '../access/rules.js';
import { native } from '../addon/binding.js';
import type { NativeRefusal } from '../addon/regions.js';
import { refusals } from '../addon/wire.js';
import {
  checkBdf,
  checkFlag,
  checkOptions,
  checkPath,
  checkText,
  checkWhole,
  checkWord,
  type Whole,
} from '../support/check.js';
import { IsmioError, rangeError, shown, systemError } from '../support/errors.js';
import { type Cost, checkCost, costArgument, type Faults, faultArguments } from './faults.js';
import { keepGuard } from './guard.js';
import { adopt, type Region } from './region.js';

/** How `emulate` makes a region. */
export interface EmulateOptions {
  /** In bytes, 1 to 2^48: the size of ISM's BAR 0 (Linux drivers/s390/net/ism.h). Takes memory only where stored to. */
  size: Whole;
  /** What one store may be. Default: 4096 bytes, relaxed alignment, a window. */
  rules?: Partial<Rules>;
  /** Synthetic time that each access takes. Default: none. */
  cost?: Partial<Cost>;
  /** Which accesses fail, and how. Default: none. */
  faults?: Faults;
  /** 'device': each access is made as asked for. 'memory': as if it were memory. Default 'device'. */
  kind?: 'device' | 'memory';
  /** What messages call it. Default 'emulated region'. */
  name?: string;
}

/** How `mapFile` maps a file. */
export interface MapFileOptions {
  /** What one store may be. Default: 4096 bytes, relaxed alignment, a window. */
  rules?: Partial<Rules>;
  /** Whether it may be stored to. Default true. */
  writable?: boolean;
  /** Where the region begins in the file: a multiple of 4096, whatever the pages of the file system are. Default 0. */
  offset?: Whole;
  /** In bytes. Default: to the end of the file. */
  length?: Whole;
  /** Default 'memory'. 'device' touches the file as it would a device: 8-byte accesses, ascending. */
  kind?: 'device' | 'memory';
  /** With kind 'device': 64-byte bursts where the CPU has them. Default false. */
  burst?: boolean;
  /**
   * 'pread': nothing is mapped, every access is one pread or pwrite, as on a VFIO region that cannot be mapped. The kind is
   * then 'device'. Default 'mmap'.
   */
  access?: 'mmap' | 'pread';
}

/** How `openResource` opens a resource of a PCI function. */
export interface ResourceOptions {
  /**
   * Default: those of every region, but with `merge: 'registers'`, and on s390x with MIO what its instructions take: strict
   * alignment, and store blocks of at most 128 bytes, as many as Linux makes of them (arch/s390/include/asm/pci_io.h).
   */
  rules?: Partial<Rules>;
  /** Whether it may be stored to. Default true. */
  writable?: boolean;
  /** Whether it is stored to in 64-byte bursts, as BARs may be that are written combined (resourceN_wc). Default false. */
  burst?: boolean;
  /** Where sysfs is mounted. Default '/sys'. */
  sysfs?: string;
}

const largestSize = 2 ** 48;
const pageSize = 4096;
/** No system has larger pages of ordinary memory; those of hugetlbfs are. */
const pageOfMemory = 65_536;

// The `access` argument of native.map.
const access = { memory: 0, device: 1, deviceBurst: 2, resource: 3, resourceBurst: 4, pread: 5 } as const;

/**
 * An emulated region: sparse bytes that refuse exactly what a function with these rules refuses.
 * @throws RangeError ERR_ISMIO_OPTION; IsmioError ERR_ISMIO_NO_MEMORY
 */
export function emulate(options: EmulateOptions): Region {
  checkOptions(options, ['size', 'rules', 'cost', 'faults', 'kind', 'name'], 'emulate');
  const size = checkWhole(options.size, 'size');
  if (size < 1 || size > largestSize) {
    throw rangeError('ERR_ISMIO_OPTION', `size must be from 1 to 2^48 bytes, not ${size}`, { size });
  }
  const rules = checkRules(options.rules);
  const kind = checkWord(options.kind ?? 'device', 'kind', ['device', 'memory']);
  const { rows, seed } = faultArguments(options.faults, size);
  const cost = costArgument(checkCost(options.cost));
  const name = checkText(options.name ?? 'emulated region', 'name');
  const handle = native.emulate(size, ...ruleArguments(rules), kind === 'memory', name, cost, rows, seed);
  if (handle === undefined) {
    throw new IsmioError('ERR_ISMIO_NO_MEMORY', `no address space for an emulated region of ${size} bytes`, { size });
  }
  return adopt(handle, true);
}

/**
 * A region over a file: on tmpfs or hugetlbfs it is memory shared with whoever maps the same file.
 * @param file its path, or a file: URL of it
 * @throws IsmioError ERR_ISMIO_OPEN (errno in cause), ERR_ISMIO_FILE_EMPTY, ERR_ISMIO_FILE_TOO_SHORT
 */
export function mapFile(file: string | URL, options: MapFileOptions = {}): Region {
  const path = checkPath(file, 'path');
  checkOptions(options, ['rules', 'writable', 'offset', 'length', 'kind', 'burst', 'access'], 'mapFile');
  const mapped = checkWord(options.access ?? 'mmap', 'access', ['mmap', 'pread']) === 'mmap';
  const kind = checkWord(options.kind ?? (mapped ? 'memory' : 'device'), 'kind', ['device', 'memory']);
  const offset = checkWhole(options.offset ?? 0, 'offset');
  if (offset % pageSize !== 0) {
    throw rangeError('ERR_ISMIO_OPTION', `offset must be a multiple of ${pageSize}, not ${offset}`, {
      offset,
    });
  }
  if (checkFlag(options.burst ?? false, 'burst') && kind === 'memory') {
    throw rangeError(
      'ERR_ISMIO_OPTION',
      "burst is for kind 'device'; kind 'memory' is copied in the fastest way anyway",
      {
        burst: true,
      },
    );
  }
  if (!mapped) {
    if (kind === 'memory' || options.burst === true) {
      const text = "with { access: 'pread' } nothing is mapped: leave out kind 'memory' and burst";
      throw rangeError('ERR_ISMIO_OPTION', text, { access: 'pread', kind, burst: options.burst });
    }
    return map(path, path, offset, options.length, options.writable, access.pread, checkRules(options.rules));
  }
  const how = kind === 'memory' ? access.memory : burstOr(options.burst, access.deviceBurst, access.device);
  return map(path, path, offset, options.length, options.writable, how, checkRules(options.rules));
}

/**
 * A BAR of a PCI function through sysfs, mapped: /sys/bus/pci/devices/BDF/resourceN. On s390x it is accessed with the MIO
 * instructions, or through the two system calls where the machine has none.
 * @param bdf domain:bus:device.function, such as '0000:00:04.0'
 * @param bar 0 to 5
 */
export function openResource(bdf: string, bar: number, options: ResourceOptions = {}): Region {
  checkOptions(options, ['rules', 'writable', 'burst', 'sysfs'], 'openResource');
  const name = checkBdf(bdf);
  if (!Number.isInteger(bar) || bar < 0 || bar > 5) {
    throw rangeError('ERR_ISMIO_OPTION', `bar must be from 0 to 5, not ${shown(bar)}`, { bar });
  }
  const how = burstOr(options.burst, access.resourceBurst, access.resource);
  const file = `resource${bar}${options.burst === true ? '_wc' : ''}`;
  const path = join(checkText(options.sysfs ?? '/sys', 'sysfs'), 'bus/pci/devices', name, file);
  const rules = checkRules({ ...resourceRules(), ...options.rules });
  checkLimits(rules, resourceLimits(), `${name} through sysfs`);
  return map(path, `${bdf} BAR ${bar}`, 0, undefined, options.writable, how, rules);
}

function burstOr(burst: boolean | undefined, withBurst: number, without: number): number {
  if (!checkFlag(burst ?? false, 'burst')) return without;
  burstOffered();
  return withBurst;
}

/** @throws RangeError ERR_ISMIO_OPTION on a CPU without 64-byte bursts */
export function burstOffered(): void {
  if (native.kernels().burst !== null) return;
  const text = 'this CPU has no 64-byte bursts; leave out { burst: true }';
  throw rangeError('ERR_ISMIO_OPTION', text, { burst: true });
}

function map(
  path: string,
  name: string,
  offset: number,
  wanted: Whole | undefined,
  writable: boolean | undefined,
  how: number,
  rules: Rules,
): Region {
  const length = checkLength(wanted);
  const toWrite = checkFlag(writable ?? true, 'writable');
  const mapped = native.map(path, offset, length, toWrite, how, ...ruleArguments(rules), name);
  if (typeof mapped === 'number') {
    if (how !== access.pread) keepGuard();
    return adopt(mapped, true);
  }
  throw refusal(path, offset, length, toWrite, mapped);
}

/** In bytes; 0: to the end. */
function checkLength(wanted: Whole | undefined): number {
  if (wanted === undefined) return 0;
  const length = checkWhole(wanted, 'length');
  if (length > 0) return length;
  throw rangeError('ERR_ISMIO_OPTION', 'length must be at least 1 byte; leave it out to map to the end', { length });
}

/** Why no region can be made of a file. */
function refusal(path: string, offset: number, length: number, writable: boolean, told: NativeRefusal): IsmioError {
  const { call, errno, fileSize, pageSize } = told;
  const values = { path, offset, length, fileSize };
  const why = refusals[told.refusal];
  if (why === 'systemError') {
    const cause = systemError(errno, call);
    const advice = callAdvice[`${call} ${cause.code}`]?.({ writable, pageSize }) ?? '';
    const text = `cannot ${call === 'open' ? 'open' : 'map'} ${path}: ${cause.code}${advice === '' ? '' : `; ${advice}`}`;
    return new IsmioError('ERR_ISMIO_OPEN', text, { ...values, call, pageSize, errno: cause.code }, cause);
  }
  if (why === 'empty') {
    return new IsmioError(
      'ERR_ISMIO_FILE_EMPTY',
      `${path} is empty: there is nothing to map. Give it a size first`,
      values,
    );
  }
  if (why === 'tooShort') {
    const needed = length === 0 ? `more than ${offset}` : `at least ${offset + length}`;
    const text = `${path} has ${fileSize} bytes; ${needed} are needed for offset ${offset} and length ${length || 'to the end'}`;
    return new IsmioError('ERR_ISMIO_FILE_TOO_SHORT', text, values);
  }
  if (why === 'noWriteCall') {
    const text =
      `${path} lies on a hugetlbfs, whose files the kernel lets nobody write through a system call; leave out ` +
      "{ access: 'pread' }, or open it with { writable: false }";
    return new IsmioError('ERR_ISMIO_OPEN', text, { ...values, pageSize });
  }
  return new IsmioError('ERR_ISMIO_OPEN', `${path} is no regular file: it cannot be mapped as a region`, values);
}

type Asked = { writable: boolean; pageSize: number };

const readOnly = ({ writable }: Asked) => (writable ? 'open it with { writable: false } to read only' : '');

/** What an errno of a call means here, and what to do. Sources: mmap(2), Linux mm/mmap.c, mm/hugetlb.c. */
const callAdvice: Readonly<Record<string, (asked: Asked) => string>> = {
  'open EACCES': readOnly,
  'open EROFS': readOnly,
  'open EPERM': ({ writable }) =>
    writable ? 'it is sealed, immutable or append-only; open it with { writable: false } to read only' : '',
  'mmap EACCES': readOnly,
  'mmap EPERM': ({ writable }) =>
    writable ? 'it is sealed against writing; open it with { writable: false } to read only' : '',
  'mmap ENODEV': () => "its file system cannot map files; open it with { access: 'pread' }",
  'mmap ENOMEM': ({ pageSize }) =>
    pageSize > pageOfMemory
      ? `there are not enough free huge pages of ${pageSize / 1024} KiB; raise vm.nr_hugepages or vm.nr_overcommit_hugepages`
      : 'no address space is left (ulimit -v), or this process has vm.max_map_count mappings; close regions or raise it',
  'mmap EAGAIN': () => 'more memory would be locked than ulimit -l allows',
};
