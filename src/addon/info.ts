// What runs here: the addon, and the access kernels it chose for this CPU.
import { binaryPath, native } from './binding.js';

/** What `info` tells of the addon and of this machine. */
export interface Info {
  /** The version of Node.js, as `process.version` has it. */
  readonly node: string;
  /** The operating system, as `process.platform` has it: 'linux'. */
  readonly platform: string;
  /** The CPU's architecture, as `process.arch` has it: 'x64', 'arm64', 's390x'. */
  readonly arch: string;
  /** The addon that was loaded. */
  readonly binary: string;
  /**
   * Bytes of address space that the kernel has refused to take back so far (ENOMEM at vm.max_map_count). They are offered
   * again whenever a region or buffer is given back. 0 as a rule.
   */
  readonly notReturned: number;
  /** The names of the access kernels that were chosen for this CPU. */
  readonly kernels: {
    readonly cpu: string;
    /** Regions of kind 'memory'. */
    readonly memory: string;
    /** Mapped files of kind 'device'. */
    readonly mapped: string;
    /** PCI resources. */
    readonly resource: string;
    /** 64-byte bursts; null where the CPU has none. */
    readonly burst: string | null;
  };
}

/** Tells which addon was loaded, and which access kernels it chose for this CPU. */
export function info(): Info {
  return {
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    binary: binaryPath,
    notReturned: native.pagesLeft(),
    kernels: native.kernels(),
  };
}
