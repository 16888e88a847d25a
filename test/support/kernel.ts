// Stands in for the kernel's VFIO: answers each call of native.vfio as Linux does, from a description of functions that are not
// there. Device nodes are files of a folder of the test's own; pread, pwrite and regions go to them through the addon itself.
// One that has a device behind it is answered by that.
//
// What it keeps of Linux: the order in which calls have to come, the state of groups, containers and iommufds, the errno of what is
// refused, and which descriptors are open. Tests that use it import internals ('../src/..'), never 'ismio': the functions it
// replaces are those of one copy of the package.
import { constants } from 'node:os';
import { join } from 'node:path';
import { native } from '../../src/addon/binding.js';
import type { DescriptorHandle } from '../../src/addon/handles.js';
import type { NativeVfio } from '../../src/addon/vfio.js';
import { IsmioError } from '../../src/support/errors.js';
import { DeviceBehind } from './kernel-device.js';
import type { StandInFunction, StandInOptions } from './kernel-functions.js';
import { StandInInterrupts } from './kernel-interrupts.js';
import {
  deviceStruct,
  iommuStruct,
  irqStruct,
  type RegionDescription,
  regionStruct,
  tell,
  zpciCapabilities,
} from './kernel-structs.js';
import {
  deviceFile,
  type FunctionDescription,
  makeTrees,
  plantFunction,
  removeTrees,
  type Trees,
} from './kernel-trees.js';

const { EBUSY, EEXIST, EINVAL, EMSGSIZE, ENODEV, ENOENT, ENOMSG, ENOSPC, ENOTTY } = constants.errno;

export { interruptedFunction, type StandInFunction, type StandInOptions } from './kernel-functions.js';

/** On s390x a mapped BAR is reached with instructions and system calls that a plain file does not answer. */
export const noMapping =
  native.kernels().cpu === 's390x' ? 'on s390x the mapping of a made-up device cannot be accessed' : false;

export type Call = Exclude<keyof NativeVfio, 'pageSize'>;

/** A test, or whoever else ends: then the kernel goes. */
interface Ending {
  after(end: () => void): void;
}

interface Closable {
  close(): void;
}

type Kind = 'group' | 'container' | 'device' | 'iommufd' | 'other';

interface Opened {
  readonly kind: Kind;
  readonly path: string;
  readonly bdf: string;
  /** A group's container; a device's iommufd. */
  joined: DescriptorHandle | null;
  /** Of a device: where its memory is mapped. */
  holder: DescriptorHandle | null;
  /** A container has an IOMMU; a device is attached to an IOAS. */
  ready: boolean;
  readonly mapped: Map<bigint, { readonly length: number; readonly flags: number }>;
}

const real: NativeVfio = { ...native.vfio };
const page = BigInt(real.pageSize);
/** Config space comes after the BARs and the ROM. */
const config: RegionDescription = { index: 7, size: 256n };

export class StandInKernel {
  readonly trees: Trees;
  /** Every call since the start, by name. */
  readonly calls: Call[] = [];
  readonly #options: StandInOptions;
  readonly #functions = new Map<string, Required<FunctionDescription> & StandInFunction>();
  readonly #behind = new Map<string, DeviceBehind>();
  readonly #opened = new Map<DescriptorHandle, Opened>();
  readonly #errnos = new Map<Call, number>();
  readonly #interrupts = new StandInInterrupts();
  readonly #users: Closable[] = [];
  #failing = { call: 0, errno: 0 };

  /** In place of the kernel until the test has ended. */
  static install(test: Ending, options: StandInOptions): StandInKernel {
    const kernel = new StandInKernel(options);
    const functions = native.vfio as unknown as Record<Call, unknown>;
    for (const name of Object.keys(real).filter((name): name is Call => name !== 'pageSize')) {
      functions[name] = (...given: never[]) => kernel.#answer(name, given);
    }
    test.after(() => {
      for (const user of kernel.#users) closeAnyhow(user);
      Object.assign(functions, real);
      for (const descriptor of kernel.#opened.keys()) real.close(descriptor);
      if (options.trees === undefined) removeTrees(kernel.trees);
    });
    return kernel;
  }

  private constructor(options: StandInOptions) {
    this.#options = options;
    this.trees = options.trees ?? makeTrees();
    for (const given of options.functions) {
      const whole = { driver: 'vfio-pci', group: 26, cdev: null, ...given };
      this.#functions.set(given.bdf, whole);
      const behind = given.answers === undefined ? undefined : new DeviceBehind(given.answers);
      if (behind !== undefined) this.#behind.set(given.bdf, behind);
      if (options.trees === undefined) plantFunction(this.trees, whole, behind?.ids);
    }
  }

  /** What openVfio is told, to find this kernel. */
  get paths(): { sysfs: string; dev: string } {
    return { sysfs: this.trees.sysfs, dev: this.trees.dev };
  }

  /** Descriptors that were opened and not closed. */
  get open(): number {
    return this.#opened.size;
  }

  /** The file behind the first function's device. */
  get file(): string {
    return deviceFile(this.trees, this.#options.functions[0]?.bdf as string);
  }

  /** Bus addresses of every DMA mapping there is, with what it is. */
  get mapped(): [bigint, { readonly length: number; readonly flags: number }][] {
    return [...this.#opened.values()].flatMap(({ mapped }) => [...mapped]);
  }

  /** `user` is closed when the test has ended, before this kernel goes. */
  closing<User extends Closable>(user: User): User {
    this.#users.push(user);
    return user;
  }

  /** From now on `answer` is what `call` does. */
  replace<Name extends Call>(call: Name, answer: NativeVfio[Name]): void {
    (this.#own as Record<Name, NativeVfio[Name]>)[call] = answer;
  }

  /** From now on `call` answers -errno; 0: no longer. */
  refuse(call: Call, errno: number): void {
    this.#errnos.set(call, errno);
  }

  /** The `nth` call from now on, and no other, answers -errno. Closing always works. */
  refuseNth(nth: number, errno: number): void {
    this.#failing = { call: this.calls.length + nth, errno };
  }

  /** What the device does: interrupts, `times` over. A vector that is masked holds them back. */
  interrupt(index: number, vector: number, times = 1): void {
    this.#interrupts.raise(index, vector, times);
  }

  #answer(name: Call, given: never[]): unknown {
    this.calls.push(name);
    const scripted = this.#errnos.get(name) ?? 0;
    const errno =
      scripted > 0 || name === 'close' ? scripted : this.calls.length === this.#failing.call ? this.#failing.errno : 0;
    if (errno > 0) return name === 'region' ? { call: 'mmap', errno } : -errno;
    const own = this.#own as Partial<Record<Call, (...given: never[]) => unknown>>;
    const behind = this.#behind.get(this.#device(given[0] as unknown as DescriptorHandle)?.bdf ?? '');
    const answered = behind?.calls as typeof own | undefined;
    if (behind !== undefined && this.#isDescribed(name, given)) return own[name]?.(...given);
    return (answered?.[name] ?? own[name] ?? (real[name] as (...given: never[]) => unknown))(...given);
  }

  /** What is told of a function besides what the device behind it answers. */
  #isDescribed(name: Call, given: readonly unknown[]): boolean {
    const { zpci, irqs = [] } = this.#device(given[0] as DescriptorHandle) ?? {};
    if (name === 'deviceInfo') return zpci !== undefined;
    const index = name === 'irqInfo' ? given[1] : name === 'setIrqs' ? given[2] : undefined;
    return irqs.some((irq) => irq.index === index);
  }

  #find(descriptor: DescriptorHandle, kind: Kind): Opened | undefined {
    const opened = this.#opened.get(descriptor);
    return opened?.kind === kind ? opened : undefined;
  }

  #add(path: string, kind: Kind, bdf = ''): DescriptorHandle {
    const descriptor = real.open(path, kind === 'device');
    if (descriptor >= 0)
      this.#opened.set(descriptor, {
        ...{ kind, path, bdf, joined: null, holder: null, ready: false },
        mapped: new Map(),
      });
    return descriptor;
  }

  #kindOf(path: string): { kind: Kind; bdf?: string } {
    const { dev } = this.trees;
    if (path === join(dev, 'vfio/vfio')) return { kind: 'container' };
    if (path === join(dev, 'iommu')) return { kind: 'iommufd' };
    for (const { bdf, group, cdev } of this.#functions.values()) {
      if (cdev !== null && path === join(dev, 'vfio/devices', cdev)) return { kind: 'device', bdf };
      if (group !== null && path === join(dev, 'vfio', String(group))) return { kind: 'group' };
    }
    return { kind: 'other' };
  }

  /** A device that answers: opened through its group, or attached. */
  #device(descriptor: DescriptorHandle): StandInFunction | undefined {
    const opened = this.#find(descriptor, 'device');
    return opened?.ready === true ? this.#functions.get(opened.bdf) : undefined;
  }

  /** A device answers from now on; its memory is mapped there. */
  #begin(descriptor: DescriptorHandle, holder: DescriptorHandle | null): void {
    const opened = this.#opened.get(descriptor) as Opened;
    opened.ready = true;
    opened.holder = holder;
    this.#behind.get(opened.bdf)?.opened();
  }

  #close(descriptor: DescriptorHandle): number {
    const opened = this.#opened.get(descriptor);
    if (opened === undefined) return -constants.errno.EBADF;
    this.#opened.delete(descriptor);
    const others = [...this.#opened.values()].some(({ bdf }) => bdf === opened.bdf);
    if (opened.ready && !others) this.#behind.get(opened.bdf)?.closed();
    return real.close(descriptor);
  }

  /** The devices whose memory is mapped there. */
  #reached(holder: DescriptorHandle): DeviceBehind[] {
    const there = [...this.#opened.values()].filter((one) => one.holder === holder).map(({ bdf }) => bdf);
    return [...this.#behind].filter(([bdf]) => there.includes(bdf)).map(([, behind]) => behind);
  }

  #map(
    descriptor: DescriptorHandle,
    kind: Kind,
    iova: bigint,
    pinned: readonly [memory: number, position: number, length: number],
    flags: number,
  ): number {
    const holder = this.#find(descriptor, kind);
    const [, , length] = pinned;
    if (holder === undefined) return -ENOTTY;
    if (iova % page !== 0n || length % Number(page) !== 0 || length === 0) return -EINVAL;
    const last = iova + BigInt(length) - 1n;
    if (!this.#ranges.some(([from, to]) => iova >= from && last <= to)) return -EINVAL;
    for (const [at, other] of holder.mapped) if (iova < at + BigInt(other.length) && last >= at) return -EEXIST;
    if (holder.mapped.size >= (this.#options.mappings ?? Number.POSITIVE_INFINITY)) return -ENOSPC;
    holder.mapped.set(iova, { length, flags });
    for (const behind of this.#reached(descriptor)) behind.map(iova, pinned, flags);
    return 0;
  }

  #unmap(descriptor: DescriptorHandle, kind: Kind, iova: bigint): number {
    const holder = this.#find(descriptor, kind);
    const length = holder?.mapped.get(iova)?.length ?? 0;
    if (holder?.mapped.delete(iova)) for (const behind of this.#reached(descriptor)) behind.unmap(iova, length);
    return length;
  }

  get #ranges(): readonly (readonly [bigint, bigint])[] {
    return this.#options.iovaRanges ?? [[0n, (1n << 39n) - 1n]];
  }

  /** The calls that the addon itself would put to the kernel's VFIO. */
  readonly #own: Partial<NativeVfio> = {
    open: (path) => {
      const { kind, bdf } = this.#kindOf(path);
      const taken = [...this.#opened.values()].some((one) => one.kind === 'group' && one.path === path);
      return taken ? refusal(EBUSY) : this.#add(path, kind, bdf);
    },
    close: (descriptor) => this.#close(descriptor),
    apiVersion: (container) => (this.#find(container, 'container') === undefined ? -ENOTTY : 0),
    checkExtension: (_, extension) => (extension === 3 && this.#options.type1 !== false ? 1 : 0),
    setIommu: (container) => {
      if (![...this.#opened.values()].some(({ kind, joined }) => kind === 'group' && joined === container))
        return -EINVAL;
      (this.#find(container, 'container') as Opened).ready = true;
      return 0;
    },
    groupStatus: (group) => {
      const opened = this.#find(group, 'group');
      if (opened === undefined) return -ENOTTY;
      return (this.#options.viable === false ? 0 : 1) | (opened.joined !== null ? 2 : 0);
    },
    groupSetContainer: (group, container) => {
      const opened = this.#find(group, 'group');
      if (opened === undefined || this.#find(container, 'container') === undefined) return -EINVAL;
      if (opened.joined !== null) return -EBUSY;
      opened.joined = container;
      return 0;
    },
    groupDevice: (group, bdf) => {
      const opened = this.#find(group, 'group');
      if (opened === undefined || opened.joined === null || this.#opened.get(opened.joined)?.ready !== true)
        return refusal(EINVAL);
      const found = this.#functions.get(bdf);
      if (found === undefined || join(this.trees.dev, 'vfio', String(found.group)) !== opened.path)
        return refusal(ENODEV);
      const device = this.#add(deviceFile(this.trees, bdf), 'device', bdf);
      this.#begin(device, opened.joined);
      return device;
    },
    iommuInfo: (container, into) =>
      this.#find(container, 'container')?.ready === true
        ? tell(into, this.#options.iommuStruct ?? iommuStruct(this.#ranges))
        : -ENODEV,
    mapDma: (container, iova, memory, position, length, flags) =>
      this.#map(container, 'container', iova, [memory, position, length], flags),
    unmapDma: (container, iova) => this.#unmap(container, 'container', iova),
    deviceInfo: (descriptor, into) => {
      const device = this.#device(descriptor);
      if (device === undefined) return -EINVAL;
      const regions = Math.max(8, ...(device.regions ?? []).map(({ index }) => index + 1));
      const zpci = device.zpci === undefined ? [] : zpciCapabilities(device.zpci);
      return tell(into, device.struct ?? deviceStruct(device.flags ?? 3, regions, 5, zpci));
    },
    regionInfo: (descriptor, index, into) => {
      const device = this.#device(descriptor);
      if (device === undefined) return -EINVAL;
      const region = [...(device.regions ?? []), config].find((region) => region.index === index);
      return tell(into, device.regionStructs?.[index] ?? regionStruct(region ?? { index, size: 0n, flags: 0 }));
    },
    irqInfo: (descriptor, index, into) => {
      const irq = this.#device(descriptor)?.irqs?.find((irq) => irq.index === index);
      return irq === undefined ? -EINVAL : tell(into, irqStruct(irq));
    },
    setIrqs: (device, ...given) => this.#interrupts.set(this.#device(device)?.irqs ?? [], ...given),
    probeZpciError: (device) => (this.#device(device)?.errors === undefined ? -ENOTTY : 0),
    zpciError: (device, into) => {
      const told = this.#device(device)?.errors?.shift();
      if (told === undefined) return -ENOMSG;
      into.set(told);
      return 0;
    },
    resetDevice: (device) => ((this.#device(device)?.flags ?? 3) & 1 ? 0 : -ENOTTY),
    bindIommufd: (device, iommufd) => {
      const opened = this.#find(device, 'device');
      if (opened === undefined) return -ENOTTY;
      if (this.#find(iommufd, 'iommufd') === undefined) return -EINVAL;
      const others = [...this.#opened.values()].filter(
        ({ bdf, joined, ready }) => bdf === opened.bdf && (ready || joined !== null),
      );
      if (others.length > 0) return others.some(({ joined }) => joined !== null) ? -EINVAL : -EBUSY;
      opened.joined = iommufd;
      return 0;
    },
    allocateIoas: (iommufd) => (this.#find(iommufd, 'iommufd') === undefined ? -ENOTTY : 3),
    attachIoas: (device, ioas) => {
      const opened = this.#find(device, 'device');
      if (opened === undefined || opened.joined === null) return -EINVAL;
      if (ioas !== 3) return -ENOENT;
      this.#begin(device, opened.joined);
      return 0;
    },
    iovaRanges: (iommufd, _ioas, pairs) => {
      if (this.#find(iommufd, 'iommufd') === undefined) return -ENOTTY;
      const ranges = this.#ranges;
      if (pairs.length < 2) return -EMSGSIZE;
      pairs.set(ranges.slice(0, pairs.length / 2).flat());
      return ranges.length;
    },
    mapIoas: (iommufd, _ioas, iova, memory, position, length, flags) =>
      this.#map(iommufd, 'iommufd', iova, [memory, position, length], flags),
    unmapIoas: (iommufd, _ioas, iova) => this.#unmap(iommufd, 'iommufd', iova),
  };
}

/** In place of a descriptor. */
const refusal = (errno: number): DescriptorHandle => -errno as DescriptorHandle;

/** A test may have left its kernel refusing everything. */
function closeAnyhow(user: Closable): void {
  try {
    user.close();
  } catch (error) {
    if (!(error instanceof IsmioError)) throw error;
  }
}
