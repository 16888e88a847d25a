// What the controller says of itself and of its namespaces (5.15.2).
import { createHash } from 'node:crypto';
import { bytesOf, everyNamespace, identify, limit, outcome } from './specification.js';

export interface Identity {
  /** At most 20 characters of ASCII. */
  readonly serial: string;
  /** Of its namespace, 16 bytes. */
  readonly uuid: Uint8Array;
  readonly vendor: number;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly readOnly: boolean;
  /** Whether bytes that were deallocated read as zeros. */
  readonly zeroes: boolean;
}

/** A UUID of somebody's own (RFC 9562, version 8): the same for the same disk. */
export function uuidOf(text: string): Uint8Array {
  const uuid = Uint8Array.from(createHash('sha256').update(text).digest().subarray(0, 16));
  uuid[6] = 0x80 | ((uuid[6] as number) & 0x0f);
  uuid[8] = 0x80 | ((uuid[8] as number) & 0x3f);
  return uuid;
}

export const version = 0x0001_0400;
export const firmware = '1.0';

/**
 * Fills `data`. A namespace beyond those there could be is refused, one that there could be and is not reads as zeros
 * (5.15.2.1).
 */
export function identified(identity: Identity, what: number, namespace: number, data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, bytesOf.identify);
  data.fill(0);
  const isNone = namespace === 0 || namespace > limit.namespaces;
  if (what === identify.controller) describeController(identity, view);
  else if (what === identify.activeNamespaces) {
    if (namespace >= everyNamespace - 1) return outcome.invalidNamespace;
    if (namespace < 1) view.setUint32(0, 1, true);
  } else if (what === identify.namespace) {
    if (isNone) return outcome.invalidNamespace;
    if (namespace === 1) describeNamespace(identity, view);
  } else if (what === identify.descriptors) {
    if (isNone) return outcome.invalidNamespace;
    if (namespace !== 1) return outcome.invalidField;
    // One descriptor (5.15.2.4): the UUID.
    view.setUint8(0, 3);
    view.setUint8(1, identity.uuid.length);
    data.set(identity.uuid, 4);
  } else return outcome.invalidField;
  return outcome.success;
}

function describeController(identity: Identity, view: DataView): void {
  view.setUint16(0, identity.vendor, true);
  view.setUint16(2, identity.vendor, true);
  text(view, 4, 20, identity.serial);
  text(view, 24, 40, 'ismio example NVMe controller');
  text(view, 64, 8, firmware);
  view.setUint8(77, limit.transferExponent); // MDTS
  view.setUint32(80, version, true);
  view.setUint32(88, 10_000_000, true); // RTD3E: a shutdown takes as long as the file needs, in microseconds
  view.setUint8(111, 1); // CNTRLTYPE: with namespaces
  view.setUint16(256, 0x100, true); // OACS: doorbell buffers
  view.setUint8(258, limit.events - 1); // ACL
  view.setUint8(259, limit.events - 1); // AERL
  view.setUint8(260, 3); // FRMW: one slot, read only
  view.setUint8(261, 4); // LPA: log pages from any offset
  view.setUint8(262, limit.errors - 1); // ELPE
  view.setUint16(266, 343, true); // WCTEMP, kelvin
  view.setUint16(268, 373, true); // CCTEMP
  view.setUint16(320, 1, true); // KAS, in 100 ms
  view.setUint8(512, 0x66); // SQES: least and most, as powers of two
  view.setUint8(513, 0x44); // CQES
  view.setUint32(516, limit.namespaces, true); // NN
  view.setUint16(520, 0x1c, true); // ONCS: dataset management, write zeroes, select of features
  view.setUint8(525, identity.readOnly ? 6 : 7); // VWC: there is one, and every namespace can be flushed at once
  text(view, 768, 256, `nqn.2014-08.org.nvmexpress:uuid:${shown(identity.uuid)}`, 0); // SUBNQN
  view.setUint16(2048, 2500, true); // PSD0: 25 W, in hundredths
}

function describeNamespace(identity: Identity, view: DataView): void {
  for (const at of [0, 8, 16]) view.setBigUint64(at, BigInt(identity.blocks), true); // NSZE, NCAP, NUSE
  view.setUint8(33, identity.zeroes ? 1 | (1 << 3) : 0); // DLFEAT: also where Write Zeroes deallocates
  view.setUint8(99, identity.readOnly ? 1 : 0); // NSATTR
  view.setUint32(128, Math.log2(identity.blockBytes) << 16, true); // LBAF0
}

function text(view: DataView, at: number, room: number, value: string, padding = 0x20): void {
  for (let i = 0; i < room; i++) view.setUint8(at + i, i < value.length ? value.charCodeAt(i) & 0x7f : padding);
}

function shown(uuid: Uint8Array): string {
  return Buffer.from(uuid)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
