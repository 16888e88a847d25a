// What IBM Z's firmware tells of a PCI function in error. The kernel hands it over as it came: a content code description of 32
// bytes, big-endian, as its machines are. Source: Linux include/uapi/linux/vfio.h (VFIO_DEVICE_FEATURE_ZPCI_ERROR, 7.3),
// arch/s390/include/asm/pci.h (struct zpci_ccdf_err).
import { constants } from 'node:os';
import type { DeviceCalls } from './access.js';
import { checked } from './failure.js';
import type { ZpciInfo } from './info.js';
import { broken } from './kernel.js';

/** One error of a function, as the firmware of IBM Z tells it. */
export interface ZpciErrorReport {
  /** What happened: the PCI event code (pec), 16 bits. */
  readonly eventCode: number;
  /** The number of the function (fid), 32 bits. */
  readonly functionId: number;
  /** The handle by which the function was reached (fh), 32 bits. */
  readonly functionHandle: number;
  /** The bus address at which an access of the function failed (faddr). */
  readonly failingAddress: bigint;
  /** The address space of that access (dmaas), 8 bits. */
  readonly addressSpace: number;
  /** The vector of the MSI that failed (mvn), 12 bits. */
  readonly vector: number;
  /** The kind of translation table that was expected (ett), 4 bits. */
  readonly tableType: number;
  /** The qualifier of the event (q), one bit. */
  readonly qualifier: number;
  /** Whether a read or a write failed (rw): the bit, as the firmware set it. */
  readonly readWrite: number;
  /** All of it, with what is not decoded here. */
  readonly bytes: Uint8Array;
}

/** The word that has the field, how far it is shifted, and its mask. */
type Field = readonly [offset: number, shift: number, mask: number];

const fields = {
  functionHandle: [4, 0, 0xffff_ffff],
  functionId: [8, 0, 0xffff_ffff],
  tableType: [12, 28, 0xf],
  vector: [12, 16, 0xfff],
  addressSpace: [12, 8, 0xff],
  qualifier: [12, 1, 1],
  readWrite: [12, 0, 1],
  eventCode: [28, 0, 0xffff],
} as const satisfies Record<string, Field>;
const failingAddressAt = 16;
const leastBytes = 32;

/** More are never pending: the kernel keeps 4 (ZPCI_ERR_PENDING_MAX). One that goes on for ever is not followed. */
const mostReports = 64;

/** Takes all that are pending from the kernel, the oldest first. */
export function readErrorReports(calls: DeviceCalls, bdf: string, zpci: ZpciInfo | null): ZpciErrorReport[] {
  const length = zpci?.errorBytes ?? null;
  if (length === null || calls.zpciError === undefined) return [];
  if (calls.probeZpciError?.() !== 0) return [];
  if (length < leastBytes || length > 4096) throw broken(`an error report has ${length} bytes`, { bdf, length });
  const reports: ZpciErrorReport[] = [];
  while (reports.length < mostReports) {
    const bytes = new Uint8Array(length);
    const answer = calls.zpciError(bytes);
    if (answer === -constants.errno.ENOMSG) break;
    checked('VFIO_DEVICE_FEATURE', answer, bdf, { bdf });
    reports.push(decode(bytes));
  }
  return reports;
}

function decode(bytes: Uint8Array): ZpciErrorReport {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = ([offset, shift, mask]: Field): number => ((view.getUint32(offset) >>> shift) & mask) >>> 0;
  return Object.freeze({
    eventCode: field(fields.eventCode),
    functionId: field(fields.functionId),
    functionHandle: field(fields.functionHandle),
    failingAddress: view.getBigUint64(failingAddressAt),
    addressSpace: field(fields.addressSpace),
    vector: field(fields.vector),
    tableType: field(fields.tableType),
    qualifier: field(fields.qualifier),
    readWrite: field(fields.readWrite),
    bytes,
  });
}
