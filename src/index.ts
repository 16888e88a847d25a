// Exports only; but a program that `ismio record` runs is recorded from here, and listeners for SIGBUS are watched.
import { recordFromEnvironment } from './record/environment.js';
import { keepGuard } from './region/guard.js';

export type { BatchMessage, Observed, ShardMessage } from './channels.js';
export type { BytesLike, Whole } from './check.js';
export { type ErrorCode, type ErrorValues, IsmioError, type IsmioFailure, isIsmioError } from './errors.js';
export { type Info, info } from './info.js';
export { type AllocOptions, allocBuffer, type FreeableBuffer, freeBuffer } from './memory.js';
export type { PciBar } from './pci/bars.js';
export { type DiagnosedFunction, diagnose, type PciDiagnosis } from './pci/diagnose.js';
export {
  type GroupMember,
  type ListOptions,
  listFunctions,
  type PciFunction,
  type PciGroup,
  type VfioNode,
  type ZpciFacts,
} from './pci/functions.js';
export type { FileState, PciMachine, PciRoots } from './pci/machine.js';
export type { PciProblem, PciProblemCode, VfioWay } from './pci/problems.js';
export type { FileUser } from './pci/users.js';
export type {
  CloseOptions,
  PoolOptions,
  Progress,
  RunOptions,
  Transfer,
  TransferError,
  TransferOptions,
} from './pool/options.js';
export { Pool } from './pool/pool.js';
export type { Range } from './pool/shards.js';
export type { RunContext } from './pool/tasks.js';
export type { Completion } from './queue/completion.js';
export type { BatchError, OperationOutcome } from './queue/outcomes.js';
export type {
  DrainOptions,
  FlushPolicy,
  Lengths,
  Offsets,
  Queue,
  QueueOptions,
  Stride,
  Values,
} from './queue/queue.js';
export {
  inspectRecording,
  type ReadOptions,
  type RecordedOperation,
  type RecordingInfo,
  readRecording,
} from './record/operations.js';
export type { Recalled } from './record/recall.js';
export { type Recorded, type Recorder, type RecordOptions, record } from './record/recorder.js';
export { type ReplayedRegion, type ReplayOptions, type ReplayReport, replay } from './record/replay.js';
export type { RecordedRegion } from './record/run.js';
export type { Verified } from './record/verifier.js';
export type { Cost, Fault, Faults } from './region/faults.js';
export {
  type EmulateOptions,
  emulate,
  type MapFileOptions,
  mapFile,
  openResource,
  type ResourceOptions,
} from './region/open.js';
export type { ByteOrder, PlannedStore, Region, RegionStats, StageTimes } from './region/region.js';
export type { Rules } from './region/rules.js';
export type { PciCapability, PciCapabilityKey, PciCapabilityName } from './vfio/capabilities.js';
export type { ConfigSpace } from './vfio/config.js';
export type { FunctionIds, IrqName, VfioDevice, VfioDeviceInfo } from './vfio/device.js';
export type { DmaMapping, DmaOptions } from './vfio/dma.js';
export type { DeviceFlags, MappableArea, VfioIrqInfo, VfioRegionInfo, ZpciInfo } from './vfio/info.js';
export type { Interrupt, VfioVector, WaitOptions } from './vfio/interrupts.js';
export type { IovaRange } from './vfio/iova.js';
export type { VfioIrq } from './vfio/irq.js';
export { openVfio, type VfioOptions } from './vfio/open.js';
export type { VfioRegionOptions } from './vfio/region.js';

recordFromEnvironment();
keepGuard();

export type { Fence, Loss } from './wire.js';
