// Which single accesses need no call into native code.
import { type ByteOrder, info, type Region } from 'ismio';

const { cpu, mapped: deviceKernel } = info().kernels;
const nativeOrder: ByteOrder = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 'le' : 'be';
const otherOrder: ByteOrder = nativeOrder === 'le' ? 'be' : 'le';

export const orders = { native: nativeOrder, other: otherOrder };

/** Whether an access makes none: in the CPU's own order of bytes to memory that is mapped, and loads of it as a device. */
export function madeInPlace(region: Region, access: 'load' | 'store', order: ByteOrder = nativeOrder): boolean {
  if (order !== nativeOrder || region.access === 'emulated') return false;
  if (region.kind === 'memory') return true;
  return access === 'load' && region.access === deviceKernel && (cpu === 'x86-64' || cpu === 's390x');
}
