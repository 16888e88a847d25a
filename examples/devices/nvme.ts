// An NVMe controller with one namespace: blocks of a file, or of memory. Linux's own driver finds its disk there, and so does the
// driver of ../nvme.ts. Where the same program opens it, it is a disk for unit tests; served, it is one for a guest:
//
//   truncate -s 1G /tmp/disk
//   ISMIO_NVME_FILE=/tmp/disk npx ismio serve dist/examples/devices/nvme.js --socket /tmp/nvme.sock
//   qemu-system-x86_64 .. -device '{"driver": "vfio-user-pci", "socket": {"type": "unix", "path": "/tmp/nvme.sock"}}'
//
// It is true to NVM Express 1.4 where a driver looks: nvme/specification.ts has what the specification calls things, nvme/registers.ts
// and nvme/controller.ts are what a driver sets up, nvme/engine.ts takes commands and completes them, nvme/host.ts finds their data
// in the host's memory, nvme/io.ts and nvme/admin.ts do what they say, nvme/medium.ts has the blocks.
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { type Device, defineDevice } from 'ismio/device';
import { Controller } from './nvme/controller.js';
import { uuidOf } from './nvme/identify.js';
import { FileMedium, type Medium, MemoryMedium } from './nvme/medium.js';

export interface NvmeDeviceOptions {
  /** The file that has the blocks; or else `bytes` has them. */
  readonly file?: string;
  readonly bytes?: Uint8Array;
  /** Default false. */
  readonly readOnly?: boolean;
  /** 512 or 4096. Default 512. */
  readonly blockBytes?: 512 | 4096;
  /** Up to 20 characters of ASCII. Default: of the file's path; by chance for memory. */
  readonly serial?: string;
  /** Pairs of I/O queues, 1 to 128: Linux takes one for each CPU. Default 8. */
  readonly queues?: number;
}

/** BAR 0: registers, and doorbells of 8 bytes for each pair of queues from 4096 on. */
const barBytes = 16 << 10;
const ids = { vendor: 0x1234, device: 0x11f0, classCode: 0x01_0802 } as const;

/** @throws RangeError for options that cannot be; what opening the file throws. */
export function nvmeController(options: NvmeDeviceOptions): Device {
  const { blockBytes = 512, queues = 8, readOnly = false } = options;
  if (blockBytes !== 512 && blockBytes !== 4096)
    throw new RangeError(`blocks have 512 or 4096 bytes, not ${blockBytes}`);
  if (!Number.isInteger(queues) || queues < 1 || queues > 128) {
    throw new RangeError(`queues must be a whole number from 1 to 128, not ${queues}`);
  }
  const name = options.file === undefined ? randomUUID() : resolve(options.file);
  const uuid = uuidOf(`${name} ${options.serial ?? ''}`);
  const serial = options.serial ?? Buffer.from(uuid).toString('hex').slice(0, 20);
  if (!/^[\x20-\x7e]{1,20}$/.test(serial))
    throw new RangeError(`a serial number has 1 to 20 characters of ASCII: ${serial}`);
  const medium = mediumOf(options, readOnly);
  const blocks = Math.floor(medium.size / blockBytes);
  if (blocks === 0) {
    medium.close();
    throw new RangeError(`${medium.size} bytes are no block of ${blockBytes}`);
  }
  const zeroes = options.file === undefined;
  const identity = { serial, uuid, vendor: ids.vendor, blocks, blockBytes, readOnly, zeroes };
  const device: Device = defineDevice({
    ...ids,
    name: `nvme ${serial}`,
    express: true,
    regions: {
      0: {
        size: barBytes,
        bits: 64,
        load: (offset, width) => controller.load(offset, width),
        store: (offset, value, width) => controller.store(offset, value, width),
      },
    },
    interrupts: { msix: queues + 1 },
    reset: () => controller.reset(),
  });
  const host = {
    read: (address: bigint, target: Uint8Array) => device.dma.read(address, target),
    write: (address: bigint, source: Uint8Array) => device.dma.write(address, source),
    view: (address: bigint, length: number) => device.dma.view(address, length),
    interrupt: (vector: number) => device.interrupt('msix', vector),
  };
  const controller = new Controller({ host, medium, identity, queues });
  device.on('close', () => controller.gone());
  // With the device goes its file.
  const closeDevice = device.close.bind(device);
  device.close = () => {
    closeDevice();
    controller.close();
  };
  return device;
}

function mediumOf({ file, bytes }: NvmeDeviceOptions, readOnly: boolean): Medium {
  if (file !== undefined && bytes === undefined) return new FileMedium(file, readOnly);
  if (bytes !== undefined && file === undefined) return new MemoryMedium(bytes, readOnly);
  throw new RangeError('an NVMe controller has its blocks in a file or in bytes: one of both');
}

/** What `ismio serve` makes. */
export default function served(): Device {
  const file = process.env['ISMIO_NVME_FILE'];
  return nvmeController(file === undefined ? { bytes: new Uint8Array(64 << 20) } : { file });
}
