// A sysfs, /dev and /proc made up in a temporary folder, laid out as the kernel does: devices once, links everywhere else.
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './files.js';

export interface FunctionParts {
  readonly vendor?: string;
  readonly device?: string;
  readonly class?: string;
  readonly driver?: string | null;
  readonly override?: string;
  /** Number of its IOMMU group; null for none. */
  readonly group?: number | null;
  readonly groupName?: string;
  /** Lines of `resource`. */
  readonly resource?: readonly string[];
  /** The command register. */
  readonly command?: number;
  /** 'vfio0', with or without the number that makes a cdev of it. */
  readonly vfio?: string | null;
  readonly cdev?: boolean;
  /** Further attributes, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Flags of Linux include/linux/ioport.h: a prefetchable BAR of 64 bits, and one of 32. */
export const bar = {
  large: '0x0000800000000000 0x0000ffffffffffff 0x000000000014220c',
  small: '0x00000000febf1000 0x00000000febf1fff 0x0000000000040200',
  ports: '0x000000000000c000 0x000000000000c03f 0x0000000000040101',
  none: '0x0000000000000000 0x0000000000000000 0x0000000000000000',
} as const;

export class PciTree {
  readonly roots: { readonly sysfs: string; readonly dev: string; readonly proc: string };

  constructor(test: TestContext) {
    const folder = temporaryFolder(test);
    this.roots = { sysfs: join(folder, 'sys'), dev: join(folder, 'dev'), proc: join(folder, 'proc') };
    for (const root of Object.values(this.roots)) mkdirSync(root);
    this.sys('bus/pci/drivers_probe', '');
    this.proc('cpuinfo', 'vendor_id\t: GenuineIntel\n');
    this.proc('sys/kernel/osrelease', '7.2.0-test\n');
    this.process({});
    mkdirSync(join(this.roots.sysfs, 'bus/pci/devices'));
  }

  /** Words of the command line that name this tree. */
  get words(): string[] {
    return Object.entries(this.roots).flatMap(([name, path]) => [`--${name}`, path]);
  }

  sys(path: string, text: string): void {
    put(join(this.roots.sysfs, path), text);
  }

  proc(path: string, text: string): void {
    put(join(this.roots.proc, path), text);
  }

  /** This process: its user, its capabilities, and how much it may lock. */
  process({ uid = 0, capabilities = 'ffff', lock = '8388608' }): void {
    this.proc('self/status', `Uid:\t1000\t${uid}\t${uid}\t${uid}\nCapEff:\t${capabilities.padStart(16, '0')}\n`);
    this.proc('self/limits', `Limit  Soft Limit  Hard Limit  Units\nMax locked memory  ${lock}  ${lock}  bytes\n`);
  }

  /** Device files, as ordinary ones. */
  devices(...names: string[]): void {
    for (const name of names) put(join(this.roots.dev, name), '');
  }

  driver(name: string): void {
    for (const file of ['bind', 'unbind']) this.sys(`bus/pci/drivers/${name}/${file}`, '');
  }

  /** An IOMMU that the kernel drives. */
  iommu(): void {
    this.sys('class/iommu/dmar0/intel-iommu/version', '1:0');
  }

  link(from: string, to: string): void {
    const path = join(this.roots.sysfs, from);
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    symlinkSync(relative(dirname(path), join(this.roots.sysfs, to)), path);
  }

  /** Where a function's own files are. */
  folder(bdf: string): string {
    return `devices/pci0000:00/${bdf}`;
  }

  /** A function; in a group, with one small BAR, unless told. */
  add(bdf: string, parts: FunctionParts = {}): void {
    const folder = this.folder(bdf);
    const attributes = {
      vendor: parts.vendor ?? '0x1234',
      device: parts.device ?? '0x11e8',
      subsystem_vendor: '0x1af4',
      subsystem_device: '0x1100',
      class: parts.class ?? '0x00ff00',
      enable: '0',
      driver_override: parts.override ?? '(null)',
      resource: (parts.resource ?? [bar.small]).join('\n'),
      ...parts.files,
    };
    for (const [name, text] of Object.entries(attributes)) this.sys(`${folder}/${name}`, `${text}\n`);
    const config = new Uint8Array(64);
    config[4] = parts.command ?? 2;
    writeFileSync(join(this.roots.sysfs, folder, 'config'), config);
    this.link(`bus/pci/devices/${bdf}`, folder);
    if (typeof parts.driver === 'string') this.bind(bdf, parts.driver);
    if (parts.group !== null) this.group(bdf, parts.group ?? 1, parts.groupName);
    if (typeof parts.vfio === 'string') this.sys(`${folder}/vfio-dev/${parts.vfio}/uevent`, '');
    if (parts.cdev === true) this.sys(`${folder}/vfio-dev/${parts.vfio}/dev`, '511:0\n');
  }

  bind(bdf: string, driver: string): void {
    this.driver(driver);
    this.link(`${this.folder(bdf)}/driver`, `bus/pci/drivers/${driver}`);
  }

  unbind(bdf: string): void {
    rmSync(join(this.roots.sysfs, this.folder(bdf), 'driver'), { force: true });
  }

  group(bdf: string, group: number, name?: string): void {
    const folder = `kernel/iommu_groups/${group}`;
    this.link(`${this.folder(bdf)}/iommu_group`, folder);
    this.link(`${folder}/devices/${bdf}`, this.folder(bdf));
    if (name !== undefined) this.sys(`${folder}/name`, `${name}\n`);
  }

  /** A disk or partition under a function, or a virtual one where there is none; `holders` are built on it. */
  block(name: string, number: string, under: string | null, holders: readonly string[] = []): void {
    const folder = under === null ? `devices/virtual/block/${name}` : `${this.folder(under)}/ata1/block/${name}`;
    this.sys(`${folder}/dev`, `${number}\n`);
    mkdirSync(join(this.roots.sysfs, folder, 'holders'), { recursive: true });
    this.link(`class/block/${name}`, folder);
    for (const holder of holders) this.link(`${folder}/holders/${holder}`, `devices/virtual/block/${holder}`);
  }

  /** A network link under a function, or a virtual one where there is none. */
  net(name: string, state: string, under: string | null): void {
    const folder = under === null ? `devices/virtual/net/${name}` : `${this.folder(under)}/net/${name}`;
    this.sys(`${folder}/operstate`, `${state}\n`);
    this.sys(`${folder}/flags`, '0x1003\n');
    if (under !== null) this.link(`${folder}/device`, this.folder(under));
    this.link(`class/net/${name}`, folder);
  }

  /** A process that has these files of /dev open. */
  opener(pid: number, command: string, ...files: string[]): void {
    this.proc(`${pid}/comm`, `${command}\n`);
    for (const [i, file] of files.entries()) {
      const path = join(this.roots.proc, `${pid}/fd/${i}`);
      mkdirSync(dirname(path), { recursive: true });
      symlinkSync(join(this.roots.dev, file), path);
    }
  }
}

function put(path: string, text: string): void {
  if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** A machine with an IOMMU and vfio-pci, on which everything that has to be there is. */
export function readyTree(test: TestContext): PciTree {
  const tree = new PciTree(test);
  tree.iommu();
  tree.driver('vfio-pci');
  tree.driver('ism_vfio_pci');
  tree.devices('vfio/vfio', 'vfio/1', 'vfio/2');
  return tree;
}
