// Single accesses: the widths they come in, and the order of their bytes.
import { Option } from 'commander';
import type { ByteOrder } from '../access/region-like.js';
import type { Region } from '../region/region.js';

const widths = ['1', '2', '4', '8'] as const;

export interface AccessOptions {
  width: (typeof widths)[number];
  order: ByteOrder;
}

export function widthOption(): Option {
  return new Option('--width <bytes>', 'bytes in the access').choices(widths).default('8');
}

export function orderOption(): Option {
  return new Option('--order <order>', 'which byte comes first: le, the least significant, or be, the most')
    .choices(['le', 'be'])
    .default('le');
}

export function loadFrom(region: Region, offset: bigint, { width, order }: AccessOptions): bigint {
  switch (width) {
    case '1':
      return BigInt(region.load8(offset));
    case '2':
      return BigInt(region.load16(offset, order));
    case '4':
      return BigInt(region.load32(offset, order));
    case '8':
      return region.load64(offset, order);
  }
}

export function storeTo(region: Region, offset: bigint, value: bigint, { width, order }: AccessOptions): void {
  switch (width) {
    case '1':
      region.store8(offset, Number(value));
      break;
    case '2':
      region.store16(offset, Number(value), order);
      break;
    case '4':
      region.store32(offset, Number(value), order);
      break;
    case '8':
      region.store64(offset, value, order);
      break;
  }
}

/** Hex, as wide as the access. */
export function wideHex(value: bigint, width: AccessOptions['width']): string {
  return `0x${value.toString(16).padStart(2 * Number(width), '0')}`;
}
