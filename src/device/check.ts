// A device's description, checked: every mistake is told with what is wrong, before anything is made of it.

import { memoryOf } from '../access/memory.js';
import type { ByteOrder } from '../access/region-like.js';
import { checkRules, type Rules } from '../access/rules.js';
import type { PortHandle } from '../addon/handles.js';
import { type Cost, checkCost, faultArguments, noCost } from '../region/faults.js';
import {
  checkBetween,
  checkCallback,
  checkFlag,
  checkOptions,
  checkText,
  checkWhole,
  checkWord,
} from '../support/check.js';
import { type ErrorValues, hex, rangeError, shown, typeError } from '../support/errors.js';
import type { BarDescription, DeviceDescription, Handlers, InterruptDescription, MemoryArea } from './description.js';

/** Of each capability, in bytes. */
export const capabilityBytes = { msi: 14, msix: 12, express: 60 } as const;

const pageSize = 4096;
const bars = 6;
const msixEntry = 16;
/** Standard capabilities lie between the header and here. */
const capabilityRoom = { from: 0x40, to: 0x100 } as const;

/** Memory of a BAR: `memory` is the number under which the addon knows it. */
export interface CheckedArea {
  readonly offset: number;
  readonly length: number;
  readonly memory: number;
  readonly position: number;
  /** The memory itself. */
  readonly bytes: Uint8Array;
}

export interface CheckedMsix {
  readonly vectors: number;
  readonly bar: number;
  readonly table: number;
  readonly pending: number;
}

export interface CheckedBar {
  readonly index: number;
  readonly size: number;
  readonly bits: 32 | 64;
  readonly prefetchable: boolean;
  readonly order: ByteOrder;
  readonly areas: readonly CheckedArea[];
  readonly handlers: Handlers;
  readonly engine: PortHandle | null;
  readonly rules: Rules;
  readonly cost: Cost;
  readonly faults: { readonly rows: Float64Array; readonly seed: number };
}

export interface CheckedDescription {
  readonly name: string;
  readonly vendor: number;
  readonly device: number;
  readonly classCode: number;
  readonly revision: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  readonly bars: readonly CheckedBar[];
  readonly intx: boolean;
  readonly msi: number;
  readonly msix: CheckedMsix | null;
  readonly express: boolean;
  readonly vendorCapabilities: readonly Uint8Array[];
  readonly reset: () => void;
  readonly saveState: (() => unknown) | undefined;
  readonly restoreState: ((state: unknown) => void) | undefined;
}

export function checkDescription(given: DeviceDescription): CheckedDescription {
  checkOptions(
    given,
    [
      ...['name', 'vendor', 'device', 'classCode', 'revision', 'subsystemVendor', 'subsystemDevice'],
      ...['regions', 'interrupts', 'express', 'vendorCapabilities', 'reset', 'saveState', 'restoreState'],
    ],
    'defineDevice',
  );
  const vendor = checkBetween(given.vendor, 'vendor', 0, 0xfffe);
  const device = checkBetween(given.device, 'device', 0, 0xffff);
  const ids = [vendor, device].map((id) => id.toString(16).padStart(4, '0')).join(':');
  for (const name of ['reset', 'saveState', 'restoreState'] as const) {
    if (given[name] !== undefined) checkCallback(given[name], name);
  }
  if ((given.saveState === undefined) !== (given.restoreState === undefined)) {
    throw refused('saveState and restoreState belong together: give both, or neither');
  }
  const described = checkBars(given.regions ?? {});
  const { intx, msi, msix, msixBar } = checkInterrupts(given.interrupts ?? {}, described);
  const checked: CheckedDescription = {
    name: checkText(given.name ?? ids, 'name'),
    vendor,
    device,
    classCode: checkBetween(given.classCode, 'classCode', 0, 0xff_ffff),
    revision: checkBetween(given.revision ?? 0, 'revision', 0, 0xff),
    subsystemVendor: checkBetween(given.subsystemVendor ?? 0, 'subsystemVendor', 0, 0xffff),
    subsystemDevice: checkBetween(given.subsystemDevice ?? 0, 'subsystemDevice', 0, 0xffff),
    bars: msixBar === null ? described : [...described, msixBar],
    intx,
    msi,
    msix,
    express: checkFlag(given.express ?? false, 'express'),
    vendorCapabilities: checkVendorCapabilities(given.vendorCapabilities ?? []),
    reset: () => given.reset?.(),
    saveState: given.saveState?.bind(given),
    restoreState: given.restoreState?.bind(given),
  };
  checkRoom(checked);
  return Object.freeze(checked);
}

function checkBars(regions: Readonly<Record<number, BarDescription>>): CheckedBar[] {
  if (regions === null || typeof regions !== 'object') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `regions must be an object of BARs, not ${shown(regions)}`, { regions });
  }
  const checked: CheckedBar[] = [];
  for (const [key, bar] of Object.entries(regions)) {
    const index = Number(key);
    if (!Number.isInteger(index) || index < 0 || index >= bars) {
      throw refused(`regions has ${shown(key)}: BARs are numbered 0 to 5`, { region: key });
    }
    const made = checkBar(index, bar);
    const behind = checked.find((other) => other.bits === 64 && other.index + 1 === index);
    if (behind !== undefined) {
      throw refused(`regions[${index}] is the upper half of BAR ${behind.index}, which has 64 bits`, { index });
    }
    if (made.bits === 64 && index === bars - 1) {
      throw refused(`regions[${index}] has 64 bits, and no BAR behind it for their upper half`, { index });
    }
    checked.push(made);
  }
  return checked;
}

function checkBar(index: number, given: BarDescription): CheckedBar {
  const where = `regions[${index}]`;
  checkOptions(
    given,
    [
      ...['size', 'bits', 'prefetchable', 'order', 'memory', 'areas', 'load', 'store', 'storeBlock'],
      ...['rules', 'cost', 'faults', 'engine'],
    ],
    where,
  );
  const size = checkWhole(given.size, `${where}.size`);
  if (size < 16 || size > 2 ** 48 || !Number.isInteger(Math.log2(size))) {
    throw refused(`${where}.size must be a power of two from 16 to 2^48, not ${size}`, { size });
  }
  const bits = given.bits ?? (size >= 2 ** 31 ? 64 : 32);
  if (bits !== 32 && bits !== 64) throw refused(`${where}.bits must be 32 or 64, not ${shown(bits)}`, { bits });
  if (bits === 32 && size > 2 ** 31) throw refused(`${where}.size takes 64 bits: ${size} bytes`, { size, bits });
  for (const name of ['load', 'store', 'storeBlock'] as const) {
    if (given[name] !== undefined) checkCallback(given[name], `${where}.${name}`);
  }
  if (given.memory !== undefined && given.areas !== undefined) {
    throw refused(`${where} has memory, which is all of it, and areas, which are parts of it: give one`, { index });
  }
  const areas = given.memory === undefined ? (given.areas ?? []) : [{ offset: 0, memory: given.memory }];
  return {
    index,
    size,
    bits,
    prefetchable: checkFlag(given.prefetchable ?? false, `${where}.prefetchable`),
    order: checkWord(given.order ?? 'le', `${where}.order`, ['le', 'be']),
    areas: checkAreas(areas, given.memory !== undefined, size, where),
    handlers: handlersOf(given),
    engine: given.engine ?? null,
    rules: checkRules({ merge: 'registers', ...given.rules }),
    cost: given.cost === undefined ? noCost : checkCost(given.cost),
    faults: faultArguments(given.faults, size),
  };
}

/** Bound to their description, so that a class's methods may be given. */
function handlersOf(given: BarDescription): Handlers {
  const { load, store, storeBlock } = given;
  return {
    ...(load !== undefined && { load: load.bind(given) }),
    ...(store !== undefined && { store: store.bind(given) }),
    ...(storeBlock !== undefined && { storeBlock: storeBlock.bind(given) }),
  };
}

function checkAreas(given: readonly MemoryArea[], whole: boolean, size: number, where: string): CheckedArea[] {
  let end = 0;
  return [...given]
    .sort((one, other) => one.offset - other.offset)
    .map(({ offset, memory }, i) => {
      const what = whole ? `${where}.memory` : `${where}.areas[${i}]`;
      const known = memory instanceof Uint8Array ? memoryOf(memory.buffer) : undefined;
      if (known === undefined) throw refused(`${what} must be memory of allocBuffer, not ${shown(memory)}`);
      const length = memory.byteLength;
      if (whole && length !== size) throw refused(`${what} must have ${size} bytes, not ${length}`, { length, size });
      const pages = [offset, length, memory.byteOffset].every((value) => value % pageSize === 0);
      if (!pages || length === 0) {
        throw refused(`${what} is whole pages of ${pageSize} bytes; it has ${length} at ${offset}`, { offset, length });
      }
      if (offset < end || offset + length > size) {
        throw refused(`${what} overlaps another, or reaches past the end of the BAR`, { offset, length, size });
      }
      end = offset + length;
      return { offset, length, memory: known.id, position: memory.byteOffset, bytes: memory };
    });
}

function checkInterrupts(
  given: InterruptDescription,
  described: readonly CheckedBar[],
): { intx: boolean; msi: number; msix: CheckedMsix | null; msixBar: CheckedBar | null } {
  checkOptions(given, ['intx', 'msi', 'msix'], 'interrupts');
  const intx = checkFlag(given.intx ?? false, 'interrupts.intx');
  const msi = given.msi ?? 0;
  if (![0, 1, 2, 4, 8, 16, 32].includes(msi)) {
    throw refused(`interrupts.msi must be 1, 2, 4, 8, 16 or 32 vectors, not ${shown(msi)}`, { msi });
  }
  if (given.msix === undefined) return { intx, msi, msix: null, msixBar: null };
  const wanted = typeof given.msix === 'number' ? { vectors: given.msix } : given.msix;
  checkOptions(wanted, ['vectors', 'bar', 'table', 'pending'], 'interrupts.msix');
  const vectors = checkBetween(wanted.vectors, 'interrupts.msix.vectors', 1, 2048);
  const own = wanted.bar === undefined;
  const bar = own ? freeBar(described) : checkBetween(wanted.bar as number, 'interrupts.msix.bar', 0, bars - 1);
  const made = own ? msixBarOf(bar, vectors) : described.find(({ index }) => index === bar);
  if (made === undefined) throw refused(`interrupts.msix.bar is ${bar}, and there is no such BAR`, { bar });
  const table = checkWhole(wanted.table ?? 0, 'interrupts.msix.table');
  const pending = checkWhole(
    wanted.pending ?? (own ? made.size / 2 : table + vectors * msixEntry),
    'interrupts.msix.pending',
  );
  const pendingBytes = Math.ceil(vectors / 64) * 8;
  const apart = pending >= table + vectors * msixEntry || pending + pendingBytes <= table;
  if (
    table % 8 !== 0 ||
    pending % 8 !== 0 ||
    !apart ||
    Math.max(table + vectors * msixEntry, pending + pendingBytes) > made.size
  ) {
    throw refused(
      `interrupts.msix: a table at ${hex(table)} and pending bits at ${hex(pending)} begin at multiples of 8, lie apart, and within the BAR`,
      { table, pending, vectors },
    );
  }
  const places = [
    [table, table + vectors * msixEntry],
    [pending, pending + pendingBytes],
  ] as const;
  const inMemory = made.areas.some(({ offset, length }) =>
    places.some(([from, to]) => from < offset + length && to > offset),
  );
  if (inMemory) {
    throw refused(`interrupts.msix: its table and pending bits cannot lie in memory of BAR ${bar}`, {
      bar,
      table,
      pending,
    });
  }
  return { intx, msi, msix: { vectors, bar, table, pending }, msixBar: own ? made : null };
}

function freeBar(described: readonly CheckedBar[]): number {
  const taken = new Set(described.flatMap(({ index, bits }) => (bits === 64 ? [index, index + 1] : [index])));
  for (let bar = 0; bar < bars; bar++) if (!taken.has(bar)) return bar;
  throw refused('interrupts.msix: no BAR is free for its table; say in which it lies (bar, table, pending)');
}

/** The table in the first half, the pending bits in the second, in pages of their own. */
function msixBarOf(index: number, vectors: number): CheckedBar {
  const half = Math.max(pageSize, 2 ** Math.ceil(Math.log2(vectors * msixEntry)));
  return checkBar(index, { size: 2 * half });
}

function checkVendorCapabilities(given: readonly Uint8Array[]): readonly Uint8Array[] {
  return given.map((bytes, i) => {
    if (bytes instanceof Uint8Array && bytes.length <= 253) return bytes.slice();
    throw refused(`vendorCapabilities[${i}] must be a Uint8Array of at most 253 bytes, not ${shown(bytes)}`);
  });
}

function checkRoom({ msi, msix, express, vendorCapabilities }: CheckedDescription): void {
  const lengths = [
    ...(msi > 0 ? [capabilityBytes.msi] : []),
    ...(msix === null ? [] : [capabilityBytes.msix]),
    ...(express ? [capabilityBytes.express] : []),
    ...vendorCapabilities.map((bytes) => 3 + bytes.length),
  ];
  const needed = lengths.reduce((sum: number, length) => sum + Math.ceil(length / 4) * 4, 0);
  const room = capabilityRoom.to - capabilityRoom.from;
  if (needed > room)
    throw refused(`its capabilities take ${needed} bytes; there is room for ${room}`, { length: needed });
}

function refused(text: string, values: ErrorValues = {}): Error {
  return rangeError('ERR_ISMIO_OPTION', text, values);
}
