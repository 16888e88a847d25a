// Exports only, and what is to be done when a region is opened: a program that `ismio record` runs is recorded then.
import { recordOpened } from './record/environment.js';
import { recordWhereWanted } from './record/wanted.js';

export type { Observed } from './access/channels.js';
export { type AllocOptions, allocBuffer, type FreeableBuffer, freeBuffer } from './access/memory.js';
export type { ByteOrder, RegionLike } from './access/region-like.js';
export type { Rules } from './access/rules.js';
export { type Info, info } from './addon/info.js';
export type { Fence, Loss } from './addon/wire.js';
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
export type { Reservation } from './queue/reservation.js';
export type { RecordedOperation } from './record/operation.js';
export { inspectRecording, type ReadOptions, type RecordingInfo, readRecording } from './record/operations.js';
export type { Recalled } from './record/recall.js';
export { type Recorded, type Recorder, type RecordOptions, record } from './record/recorder.js';
export { type ReplayOptions, replay } from './record/replay.js';
export type { ReplayQueue, ReplayRegion } from './record/replay-region.js';
export type { ReplayedRegion, ReplayReport } from './record/report.js';
export type { RecordedRegion } from './record/run.js';
export type { Verified } from './record/verifier.js';
export type { Cost, Fault, Faults } from './region/faults.js';
export type { BatchMessage, ShardMessage } from './region/messages.js';
export {
  type EmulateOptions,
  emulate,
  type MapFileOptions,
  mapFile,
  openResource,
  type ResourceOptions,
} from './region/open.js';
export type { PlannedStore, Region, RegionStats, StageTimes } from './region/region.js';
export type { BytesLike, Whole } from './support/check.js';
export { type ErrorCode, type ErrorValues, IsmioError, type IsmioFailure, isIsmioError } from './support/errors.js';
export type { PciCapability, PciCapabilityKey, PciCapabilityName } from './vfio/capabilities.js';
export type { ConfigSpace } from './vfio/config.js';
export type { VfioDevice } from './vfio/device.js';
export type { DmaMapping, DmaOptions } from './vfio/dma.js';
export type {
  DeviceFlags,
  FunctionIds,
  MappableArea,
  VfioDeviceInfo,
  VfioIrqInfo,
  VfioRegionInfo,
  ZpciInfo,
} from './vfio/info.js';
export type { Interrupt, VfioVector, WaitOptions } from './vfio/interrupts.js';
export type { IovaRange } from './vfio/iova.js';
export type { IrqName, VfioIrq } from './vfio/irq.js';
export { openVfio, type VfioOptions } from './vfio/open.js';
export type { PciDevice } from './vfio/pci-device.js';
export type { VfioRegionOptions } from './vfio/region.js';
export type { ZpciErrorReport } from './vfio/zpci-errors.js';
export { openVfioUser, type VfioUserOptions } from './vfio-user/client.js';

recordWhereWanted(recordOpened);
