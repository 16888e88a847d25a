// An NVMe controller from its reset to its shutdown: an admin queue, one pair of queues for reads and writes, one namespace.
import { setTimeout as pause } from 'node:timers/promises';
import { allocBuffer, type DmaMapping, openVfio, type PciDevice, type RegionLike, type VfioOptions } from 'ismio';
import { type Command, NvmeError, QueuePair } from './queue.js';
import {
  admin,
  bytesOf,
  type Controller,
  capabilitiesOf,
  configuration,
  controllerOf,
  identify,
  io,
  type Namespace,
  namespaceOf,
  queueFlag,
  register,
  status,
} from './registers.js';

export interface NvmeOptions {
  /** How completions are waited for: by the controller's interrupts (MSI-X), or by looking. Default 'interrupt'. */
  readonly wait?: 'interrupt' | 'poll';
  /** Default 1. */
  readonly namespace?: number;
  /** How long a command may take, in milliseconds. Default 5000. */
  readonly timeout?: number;
  readonly api?: VfioOptions['api'];
}

/** Of a list of pages for one command, a page of 8-byte addresses: it has the pages behind the first. */
const mostPages = bytesOf.page / 8 + 1;

export class NvmeController {
  readonly controller: Controller;
  readonly namespace: Namespace;
  readonly device: PciDevice;
  readonly #bar: RegionLike;
  readonly #namespace: number;
  readonly #admin: QueuePair;
  readonly #io: QueuePair;

  private constructor(parts: Parts) {
    this.device = parts.device;
    this.#bar = parts.bar;
    this.#namespace = parts.options.namespace;
    this.#admin = parts.admin;
    this.#io = parts.io;
    this.controller = parts.controller;
    this.namespace = parts.namespace;
  }

  /**
   * Resets and sets up the controller at a BDF, which a VFIO driver has, or one that is open already, by whatever road: it is
   * closed with the controller. What it held in its queues is gone.
   */
  static async open(at: string | PciDevice, options: NvmeOptions = {}): Promise<NvmeController> {
    const { api = 'auto', wait = 'interrupt', namespace = 1, timeout = 5000 } = options;
    const device = typeof at === 'string' ? openVfio(at, { api }) : at;
    try {
      return new NvmeController(await setUp(device, { wait, namespace, timeout }));
    } catch (error) {
      device.close();
      throw error;
    }
  }

  /** Memory that the controller reads and writes, until it is unmapped or the controller closed: whole pages, `bytes` or more. */
  allocate(bytes: number): DmaMapping {
    return this.device.dmaMap(allocBuffer(Math.ceil(bytes / bytesOf.page) * bytesOf.page));
  }

  /** Reads the blocks from `block` on into the first `length` bytes of `target`. */
  read(block: number, target: DmaMapping, length = target.length): Promise<void> {
    return this.#transfer(io.read, block, target, length);
  }

  /** Writes the first `length` bytes of `source` into the blocks from `block` on. */
  write(block: number, source: DmaMapping, length = source.length): Promise<void> {
    return this.#transfer(io.write, block, source, length);
  }

  /** Resolves when what was written is where a loss of power leaves it. */
  flush(): Promise<void> {
    return this.#io.submit({ opcode: io.flush, namespace: this.#namespace });
  }

  /** Ends the queues and shuts the controller down, as it likes it before power goes (7.6.2), and closes the device. */
  async close(): Promise<void> {
    try {
      await this.#admin.submit({ opcode: admin.deleteSubmissionQueue, words: [this.#io.id] });
      await this.#admin.submit({ opcode: admin.deleteCompletionQueue, words: [this.#io.id] });
      const now = this.#bar.load32(register.configuration);
      const shutdown = (now & ~configuration.shutdownMask) | configuration.normalShutdown;
      this.#bar.store32(register.configuration, shutdown >>> 0);
      await until(this.#bar, status.shutdownMask, status.shutdownComplete, 5000, 'shut down');
      await disable(this.#bar);
    } finally {
      this.device.close();
    }
  }

  /** In commands of the most bytes that one may have: all are submitted, and the queue takes as many at once as it can. */
  async #transfer(opcode: number, block: number, mapping: DmaMapping, length: number): Promise<void> {
    const { blockBytes, blocks } = this.namespace;
    if (length % blockBytes !== 0 || length > mapping.length || block + length / blockBytes > blocks) {
      throw new RangeError(`${length} bytes at block ${block}: there are ${blocks} blocks of ${blockBytes} bytes`);
    }
    const most = Math.min(this.controller.maxTransfer, mostPages * bytesOf.page, 0x1_0000 * blockBytes);
    const commands: Promise<void>[] = [];
    for (let offset = 0; offset < length; offset += most) {
      const data = { mapping, offset, length: Math.min(most, length - offset) };
      const first = block + offset / blockBytes;
      const words = [first >>> 0, Math.floor(first / 2 ** 32), data.length / blockBytes - 1];
      commands.push(this.#io.submit({ opcode, namespace: this.#namespace, words, data }));
    }
    await allOf(commands);
  }
}

interface Settings {
  readonly wait: 'interrupt' | 'poll';
  readonly namespace: number;
  readonly timeout: number;
}

interface Parts {
  readonly device: PciDevice;
  readonly bar: RegionLike;
  readonly options: Settings;
  readonly admin: QueuePair;
  readonly io: QueuePair;
  readonly controller: Controller;
  readonly namespace: Namespace;
}

async function setUp(device: PciDevice, options: Settings): Promise<Parts> {
  device.enableMemory();
  const bar = device.region(0);
  const capabilities = capabilitiesOf(bar.load64(register.capabilities));
  await disable(bar);
  // Before the controller is enabled: QEMU's (7.2, 11.1) takes an admin queue whose vector was not there when it was made
  // for one that has none, and never signals it.
  const msix = device.irq('msix');
  if (options.wait === 'interrupt') msix.enable(Math.min(2, msix.count));
  else bar.store32(register.interruptMaskSet, 0xffff_ffff);
  device.enableBusMaster();

  const pair = (id: number) => {
    const vector = options.wait === 'interrupt' ? msix.vector(Math.min(id, msix.enabled - 1)) : null;
    const { doorbellStride, maxEntries } = capabilities;
    return new QueuePair(device, bar, {
      id,
      entries: Math.min(64, maxEntries),
      doorbellStride,
      vector,
      timeout: options.timeout,
    });
  };
  const admin = pair(0);
  await enable(bar, admin, capabilities.readyTimeout);
  const controller = controllerOf(await identified(device, admin, identify.controller), capabilities.minPageBytes);
  const namespace = namespaceOf(await identified(device, admin, identify.namespace, options.namespace));
  // A namespace that the controller could have and has not reads as zeros.
  if (namespace.blocks === 0) throw new NvmeError(`the controller has no namespace ${options.namespace}`);
  const io = pair(1);
  await create(admin, io, options.wait === 'interrupt' ? Math.min(1, msix.enabled - 1) : null);
  return { device, bar, options, admin, io, controller, namespace };
}

/** Tells the controller its admin queue, and waits until it is ready (7.6.1). */
async function enable(bar: RegionLike, queue: QueuePair, timeout: number): Promise<void> {
  const last = queue.entries - 1;
  bar.store32(register.adminQueueAttributes, last | (last << 16));
  bar.store64(register.adminSubmissionQueue, queue.submission.iova);
  bar.store64(register.adminCompletionQueue, queue.completion.iova);
  bar.store32(register.configuration, configuration.enable | configuration.entrySizes);
  await until(bar, status.ready, status.ready, timeout, 'become ready');
}

async function disable(bar: RegionLike): Promise<void> {
  const { readyTimeout } = capabilitiesOf(bar.load64(register.capabilities));
  bar.store32(register.configuration, (bar.load32(register.configuration) & ~configuration.enable) >>> 0);
  await until(bar, status.ready, 0, readyTimeout, 'stop');
}

/** Until the bits of the status register are as wanted. */
async function until(bar: RegionLike, mask: number, wanted: number, timeout: number, what: string): Promise<void> {
  const deadline = performance.now() + Math.max(timeout, 500);
  for (;;) {
    const word = bar.load32(register.status);
    if ((word & mask) === wanted) return;
    if ((word & status.fatal) !== 0) throw new NvmeError(`the controller did not ${what}: fatal status (CSTS.CFS)`);
    if (performance.now() > deadline)
      throw new NvmeError(`the controller did not ${what} in time: CSTS is 0x${word.toString(16)}`);
    await pause(1);
  }
}

async function identified(device: PciDevice, queue: QueuePair, what: number, namespace = 0): Promise<Uint8Array> {
  const mapping = device.dmaMap(allocBuffer(bytesOf.identify));
  const data = { mapping, offset: 0, length: bytesOf.identify };
  await queue.submit({ opcode: admin.identify, namespace, words: [what], data });
  // Not before: a command that failed to end may still write there. Closing the device stops it first.
  mapping.unmap();
  return mapping.buffer;
}

/** The completion queue first: a submission queue names the one that it completes to. */
async function create(adminQueue: QueuePair, queue: QueuePair, vector: number | null): Promise<void> {
  const size = queue.id | ((queue.entries - 1) << 16);
  const interrupts = vector === null ? 0 : queueFlag.interrupts | (vector << 16);
  const one = (opcode: number, mapping: DmaMapping, flags: number): Command => ({
    opcode,
    words: [size, queueFlag.contiguous | flags],
    data: { mapping, offset: 0, length: bytesOf.page },
  });
  await adminQueue.submit(one(admin.createCompletionQueue, queue.completion, interrupts));
  await adminQueue.submit(one(admin.createSubmissionQueue, queue.submission, queue.id << 16));
}

/** Waits for all, also behind one that failed: the controller is at their data until they have ended. */
async function allOf(commands: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(commands);
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
