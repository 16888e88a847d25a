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
export { MemoryDisk, type MemoryDiskOptions, memoryDisk } from './block/memory-disk.js';
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
