// QEMU's educational device (1234:11e8), register for register: what drives QEMU's drives this one. It shows registers that
// compute, an interrupt by MSI or, where the driver has none, by pin, and a DMA engine with an address mask.
//
//   npx ismio serve --example edu --socket /tmp/edu.sock
//   qemu-system-x86_64 .. -device '{"driver": "vfio-user-pci", "socket": {"type": "unix", "path": "/tmp/edu.sock"}}'
//
// edu-registers.ts has the registers, edu-driver.ts a driver. Odd accesses get what QEMU 11 gives them (hw/misc/edu.c): 1 and 2
// bytes read as zeros; all else that no register takes reads as ones; 4 bytes at a DMA register are its lower half, and a store
// there leaves zeros in the upper one. QEMU lets a transfer run out of the device's own memory; here it moves nothing.
import { type Device, defineDevice } from 'ismio/device';
import { addressMask, cause, eduMap, ownMemory } from './edu-registers.js';

export interface EduOptions {
  /** How long a transfer takes, in milliseconds. Default 100, as QEMU's. */
  readonly transfer?: number;
  /** Told why a transfer moved nothing: the device has no register to tell its driver. Default: a warning of the process. */
  readonly failed?: (error: Error) => void;
}

export function edu({ transfer = 100, failed = warn }: EduOptions = {}): Device {
  const values = eduMap.values();
  const { status, dmaCommand } = eduMap.bits;
  const memory = new Uint8Array(ownMemory.length);
  const wide = { 128: 'dmaSource', 136: 'dmaTarget', 144: 'dmaCount', 152: 'dmaCommand' } as const;
  let computation: NodeJS.Immediate | undefined;
  let movement: NodeJS.Timeout | undefined;

  /** Once more for what is not acknowledged yet, even where nothing is added. */
  function raise(causes: number): void {
    values.interruptStatus |= causes;
    if (values.interruptStatus === 0) return;
    if (device.enabled('msi')) device.interrupt('msi');
    else device.level(true);
  }

  function acknowledge(causes: number): void {
    values.interruptStatus &= ~causes;
    if (values.interruptStatus === 0) device.level(false);
  }

  /** In a turn of its own, so that a driver has to look at the status. */
  function compute(operand: number, before: number): void {
    if ((values.status & status.computing) !== 0) {
      values.factorial = before;
      return;
    }
    values.status |= status.computing;
    computation = setImmediate(() => {
      if (device.closed) return;
      values.factorial = factorial(operand);
      values.status &= ~status.computing;
      if ((values.status & status.interruptWhenDone) !== 0) raise(cause.factorial);
    });
  }

  function command(name: (typeof wide)[keyof typeof wide], value: bigint, before: bigint): void {
    const running = (name === 'dmaCommand' ? before : values.dmaCommand) & dmaCommand.start;
    const starts = name === 'dmaCommand' && (value & dmaCommand.start) !== 0n;
    if (running !== 0n || (name === 'dmaCommand' && !starts)) values[name] = before;
    else if (starts) movement = setTimeout(move, transfer);
  }

  function move(): void {
    if (device.closed) return;
    try {
      if ((values.dmaCommand & dmaCommand.toMemory) === 0n) {
        device.dma.read(values.dmaSource & addressMask, within(values.dmaTarget));
      } else {
        device.dma.write(values.dmaTarget & addressMask, within(values.dmaSource));
      }
    } catch (error) {
      failed(error as Error);
    }
    values.dmaCommand &= ~dmaCommand.start;
    if ((values.dmaCommand & dmaCommand.interrupt) !== 0n) raise(cause.dma);
  }

  /** The part of the device's memory that a transfer is about. */
  function within(address: bigint): Uint8Array {
    const begin = address - ownMemory.at;
    const end = begin + values.dmaCount;
    if (begin >= 0n && end <= BigInt(ownMemory.length)) return memory.subarray(Number(begin), Number(end));
    throw new RangeError(`${values.dmaCount} bytes at 0x${address.toString(16)} are not in the device's own memory`);
  }

  function stop(): void {
    clearImmediate(computation);
    clearTimeout(movement);
    eduMap.reset(values);
    device.level(false);
  }

  const registers = eduMap.handlers({
    values,
    store: {
      liveness(value) {
        values.liveness = ~value;
      },
      factorial: compute,
      raise,
      acknowledge,
      dmaSource: (value, before) => command('dmaSource', value, before),
      dmaTarget: (value, before) => command('dmaTarget', value, before),
      dmaCount: (value, before) => command('dmaCount', value, before),
      dmaCommand: (value, before) => command('dmaCommand', value, before),
    },
    otherwise: {
      load(offset, width) {
        if (width < 4) return 0;
        if (width === 8) return (1n << 64n) - 1n;
        return isWide(offset) ? Number(values[wide[offset]] & 0xffff_ffffn) : 0xffff_ffff;
      },
      store(offset, value, width) {
        if (width === 4 && isWide(offset)) registers.store(offset, BigInt(value), 8);
      },
    },
  });
  const isWide = (offset: number): offset is keyof typeof wide => Object.hasOwn(wide, offset);

  const device = defineDevice({
    name: 'edu',
    vendor: 0x1234,
    device: 0x11e8,
    classCode: 0x00ff00,
    revision: 0x10,
    subsystemVendor: 0x1af4,
    subsystemDevice: 0x1100,
    regions: { 0: { size: 2 ** 20, ...registers } },
    interrupts: { intx: true, msi: 1 },
    reset: stop,
  });
  return device;
}

function warn({ message }: Error): void {
  process.emitWarning(`edu: a transfer moved nothing: ${message}`);
}

/** Modulo 2^32: from 34 on, the factors have 32 twos among them. */
function factorial(operand: number): number {
  if (operand >= 34) return 0;
  let product = 1;
  for (let factor = 2; factor <= operand; factor++) product = Math.imul(product, factor) >>> 0;
  return product;
}

export default edu;
