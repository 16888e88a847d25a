// What one store may be, and how few of them a range needs: written anew from the facts about the hardware, and slow on
// purpose. Nothing here comes from the engine.
//
//   PCISTB, relaxed function   1..maxStoreBlock bytes inside one boundary window, any alignment
//                              [Linux drivers/vfio/pci/ism/main.c]
//   PCISTB, strict function    the same, and offset and length multiples of 8, more than 8 bytes
//                              [QEMU hw/s390x/s390-pci-inst.c]
//   PCISTG, PCILG              1, 2, 4 or 8 bytes at a multiple of their width, so that none crosses an 8-byte boundary
import type { PlannedStore, Rules } from 'ismio';

export type Limits = Pick<Rules, 'maxStoreBlock' | 'boundary' | 'alignment'> & { readonly singleStores?: boolean };

/** Offsets reach past 2^31, so windows are worked out with % and never with bit operators. */
export function legalStoreBlock(limits: Limits, offset: number, length: number): boolean {
  if (length < 1 || length > limits.maxStoreBlock) return false;
  const firstWindow = Math.floor(offset / limits.boundary);
  const lastWindow = Math.floor((offset + length - 1) / limits.boundary);
  if (firstWindow !== lastWindow) return false;
  if (limits.alignment === 'relaxed') return true;
  return offset % 8 === 0 && length % 8 === 0 && length > 8;
}

export function legalStore(offset: number, length: number): boolean {
  return [1, 2, 4, 8].includes(length) && offset % length === 0;
}

export function legal(limits: Limits, { kind, offset, length }: PlannedStore): boolean {
  return kind === 'store'
    ? limits.singleStores !== false && legalStore(offset, length)
    : legalStoreBlock(limits, offset, length);
}

/** The fewest legal stores that carry [offset, offset + length), each byte once: by trying all of them. Infinity: none do. */
export function fewestStores(limits: Limits, offset: number, length: number): number {
  const fewest = new Array<number>(length + 1).fill(Number.POSITIVE_INFINITY);
  fewest[0] = 0;
  for (let at = 0; at < length; at++) {
    const through = (fewest[at] as number) + 1;
    const longest = Math.min(length - at, Math.max(8, limits.maxStoreBlock));
    for (let bytes = 1; bytes <= longest; bytes++) {
      if (through >= (fewest[at + bytes] as number)) continue;
      const single = limits.singleStores !== false && legalStore(offset + at, bytes);
      if (single || legalStoreBlock(limits, offset + at, bytes)) fewest[at + bytes] = through;
    }
  }
  return fewest[length] as number;
}

/** How many loads ism-vfio-pci makes of a read: at each step the widest that is aligned and still wanted. */
export function loadsOf(offset: number, length: number): number {
  let loads = 0;
  for (let at = offset; at < offset + length; loads++) {
    at += [8, 4, 2, 1].find((width) => at % width === 0 && at + width <= offset + length) as number;
  }
  return loads;
}
