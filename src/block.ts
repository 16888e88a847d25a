// What programs import as `ismio/block`. Exports only.
export { type CopyOptions, type CopyResult, copyDisk } from './block/copy.js';
export type {
  BlockDevice,
  BlockSizes,
  DiskFeatures,
  DiskWriteOptions,
  DiskZeroOptions,
  Done,
  Extent,
} from './block/disk.js';
export { FileDisk, type FileDiskOptions, openFileDisk } from './block/file-disk.js';
export type { IsmDisk, IsmDiskEvents, IsmDiskStats } from './block/ism/initiator.js';
export type { IsmDiskState } from './block/ism/link.js';
export { type ListDisksOptions, type ListedDisk, listDisks } from './block/ism/list.js';
export { openBlock } from './block/ism/open.js';
export type { BlockAccess, LossMode, OpenBlockOptions, ServeBlockOptions } from './block/ism/options.js';
export type { BlockFailure } from './block/ism/service.js';
export { BlockTarget, type BlockTargetEvents, type BlockTargetStats, serveBlock } from './block/ism/target.js';
export { MemoryDisk, type MemoryDiskOptions, memoryDisk } from './block/memory-disk.js';
export { NbdDisk, type NbdDiskEvents, type NbdDiskStats } from './block/nbd/client/disk.js';
export type { NbdReason } from './block/nbd/client/failure.js';
export { openNbd } from './block/nbd/client/open.js';
export type { NbdClientTls, OpenNbdOptions } from './block/nbd/client/options.js';
export type { NbdPlace } from './block/nbd/client/uri.js';
export {
  type NbdOptions,
  NbdServer,
  type NbdServerEvents,
  type NbdServerStats,
  serveNbd,
} from './block/nbd/server.js';
export type { NbdTls } from './block/nbd/tls.js';
export type { NbdFailure } from './block/nbd/transmission.js';
export { OverlayDisk, type OverlayOptions, overlayDisk } from './block/overlay-disk.js';
export { RegionDisk, type RegionDiskOptions, regionDisk } from './block/region-disk.js';
