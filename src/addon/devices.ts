// Devices that this process defines, as the addon has them.
import type { FunctionHandle, RegionHandle } from './handles.js';
import type { RuleArguments } from './regions.js';

/** What is asked of JavaScript; the numbers of `kind` are those of `Handled`. */
export type AnswerRequest = (
  device: number,
  kind: number,
  region: number,
  offset: number,
  length: number,
  bytes: Uint8Array | undefined,
) => number;

/** native/binding/device.cc. A negative answer is -errno. */
export interface NativeDevices {
  /** -1 where the memory of an area is not this package's. */
  make(
    number: number,
    bars: Float64Array,
    areas: Float64Array,
    configSize: number,
    irqs: Uint32Array,
    mostMappings: number,
    engines: Float64Array,
  ): FunctionHandle;
  close(device: FunctionHandle): void;
  /** `answer` gives 0, an errno, or -ticket for what `settle` ends; up to 8 bytes go by the word. */
  answerBy(answer: AnswerRequest, word: Uint8Array, later: () => void): void;
  serve(): void;
  settle(ticket: number, errno: number, bytes: Uint8Array | undefined): void;
  deviceInfo(device: FunctionHandle, into: Uint8Array): number;
  regionInfo(device: FunctionHandle, index: number, into: Uint8Array): number;
  irqInfo(device: FunctionHandle, index: number, into: Uint8Array): number;
  setIrqs(
    device: FunctionHandle,
    flags: number,
    index: number,
    start: number,
    count: number,
    eventfds: Int32Array | null,
  ): number;
  raise(device: FunctionHandle, irq: number, vector: number): void;
  level(device: FunctionHandle, up: boolean): void;
  pending(device: FunctionHandle, irq: number, vector: number): boolean;
  enabled(device: FunctionHandle, irq: number, vector: number): boolean;
  /** Whether it has refused an access since this was last asked. */
  refused(device: FunctionHandle): boolean;
  command(device: FunctionHandle, decodes: boolean, masters: boolean): void;
  /** Whether nobody had it open. */
  take(device: FunctionHandle): boolean;
  letGo(device: FunctionHandle): void;
  /** As `letGo`, where no driver had it: interrupts that are held back stay so. */
  giveBack(device: FunctionHandle): void;
  mapDma(
    device: FunctionHandle,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    readable: boolean,
    writable: boolean,
  ): number;
  unmapDma(device: FunctionHandle, iova: bigint, length: number): number;
  /** 0, or an errno. */
  read(device: FunctionHandle, iova: bigint, target: Uint8Array): number;
  write(device: FunctionHandle, iova: bigint, source: Uint8Array): number;
  view(device: FunctionHandle, iova: bigint, length: number): ArrayBuffer | undefined;
  region(
    device: FunctionHandle,
    bar: number,
    writable: boolean,
    ...rest: [...RuleArguments, name: string, cost: Float64Array, faults: Float64Array, seed: number]
  ): RegionHandle | undefined;
}
