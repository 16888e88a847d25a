// The fabric of ISM and the lanes past it, as the addon has them.
import type { BellHandle, ConnectionHandle, FabricHandle, PortHandle, RegionHandle } from './handles.js';
import type { RuleArguments } from './regions.js';

/** native/binding/ism.cc. A negative answer is -errno. */
export interface NativeIsm {
  /** `rates` in the order of `mischiefs`, of a thousand moves; `latest` in milliseconds. Without them there is no adversary. */
  fabric(direct: boolean, ...adversary: [] | readonly [seed: bigint, latest: number, ...rates: number[]]): FabricHandle;
  /** How often each of `mischiefs` was done; undefined without an adversary. */
  mischief(fabric: FabricHandle): readonly number[] | undefined;
  closeFabric(fabric: FabricHandle): void;
  /** -EEXIST where the fabric has one of this GID. */
  port(fabric: FabricHandle, gid: bigint, reversed: boolean): PortHandle | number;
  closePort(port: PortHandle): void;
  registerSba(port: PortHandle, iova: bigint): number;
  registerQueue(port: PortHandle, iova: bigint, length: bigint): number;
  /** Whether there was one. */
  unregisterSba(port: PortHandle): boolean;
  unregisterQueue(port: PortHandle): boolean;
  /** A token. */
  registerDmb(port: PortHandle, iova: bigint, length: number, index: number, sender: bigint): bigint | number;
  unregisterDmb(port: PortHandle, token: bigint): boolean;
  /** Whether it has an event queue. */
  tell(port: PortHandle, type: number, code: number, token: bigint, info: bigint, interrupt: boolean): boolean;
  clear(port: PortHandle): void;
  /** The adversary has killed it, since its driver last went. */
  dead(port: PortHandle): boolean;
  counts(port: PortHandle): PortCounts | undefined;
}

export interface PortCounts {
  readonly moves: number;
  readonly movedBytes: number;
  readonly received: number;
  readonly signals: number;
  readonly interrupts: number;
  readonly events: number;
  readonly lanes: number;
  readonly dmbs: number;
  /** By reason, in the order of `moveRefusals`. */
  readonly refused: readonly number[];
}

/** native/binding/lane.cc */
export interface NativeLanes {
  open(
    connection: ConnectionHandle,
    token: bigint,
    ...rest: [...RuleArguments, name: string]
  ): { region: RegionHandle; bell: BellHandle } | { call: string; errno: number };
  /** 0 or an errno. */
  ring(bell: BellHandle, colour: number): number;
  closeBell(bell: BellHandle): void;
}
