// The state of a device, plain data that can be cloned, sent and written to a file; and what is checked of one before anything of
// it is taken: it may come from anywhere.
import { native } from '../addon/binding.js';
import { IsmioError, shown } from '../support/errors.js';
import { type DeviceFunction, irqIndex } from './function.js';

/** What `save` gives and `restore` takes. */
export interface DeviceState {
  /** Of this form. */
  readonly version: 1;
  /** Configuration space. */
  readonly configuration: Uint8Array;
  /** The MSI-X table; empty where there is none. */
  readonly msixTable: Uint8Array;
  /** Vectors that are held back. */
  readonly pending: { readonly msi: readonly number[]; readonly msix: readonly number[] };
  /** What the BARs have that is memory, in ascending order. */
  readonly memory: readonly MemoryState[];
  /** What `saveState` of the description gave. */
  readonly registers?: unknown;
}

/** Bytes of a BAR that are memory. */
export interface MemoryState {
  readonly region: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const version = 1;
const kinds = ['msi', 'msix'] as const;

/** @throws DataCloneError where `saveState` gave what cannot be cloned */
export function saveFunction(device: DeviceFunction): DeviceState {
  const { handle, description, configuration } = device;
  const pending = (kind: 'msi' | 'msix') =>
    [...Array(vectorsOf(device, kind)).keys()].filter((vector) =>
      native.devices.pending(handle, irqIndex[kind], vector),
    );
  return {
    version,
    configuration: configuration.saved(),
    msixTable: device.msixTable.slice(),
    pending: { msi: pending('msi'), msix: pending('msix') },
    memory: areasOf(device).map(({ region, offset, memory }) => ({ region, offset, bytes: memory.slice() })),
    ...(description.saveState !== undefined && { registers: structuredClone(description.saveState()) }),
  };
}

/** All of it is checked before anything is taken. @throws IsmioError ERR_ISMIO_STATE */
export function restoreFunction(device: DeviceFunction, given: unknown): void {
  const state = checkState(device, given);
  const { description, configuration, handle } = device;
  description.restoreState?.(state.registers);
  for (const [i, { memory }] of areasOf(device).entries()) memory.set((state.memory[i] as MemoryState).bytes);
  device.msixTable.set(state.msixTable);
  configuration.restore(state.configuration);
  for (const kind of kinds) {
    for (const vector of state.pending[kind]) native.devices.raise(handle, irqIndex[kind], vector);
  }
  if (description.intx) native.devices.level(handle, configuration.interruptRaised);
}

function checkState(device: DeviceFunction, given: unknown): DeviceState {
  const refused = (what: string): IsmioError => {
    const { name } = device.description;
    return new IsmioError('ERR_ISMIO_STATE', `${name}: a state that is not one of this device: ${what}`, { bdf: name });
  };
  const state = recordOf(given);
  if (state === undefined) throw refused(`it is ${shown(given)}`);
  if (state['version'] !== version) {
    throw refused(`its version is ${shown(state['version'])}, and this package takes ${version}`);
  }
  const known = ['version', 'configuration', 'msixTable', 'pending', 'memory', 'registers'];
  const unknown = Object.keys(state).find((name) => !known.includes(name));
  if (unknown !== undefined) throw refused(`it has '${unknown}', which no state has`);
  const bytes = (value: unknown, what: string, length: number): Uint8Array => {
    if (!(value instanceof Uint8Array)) throw refused(`${what} must be a Uint8Array, not ${shown(value)}`);
    if (value.length === length) return value.slice(); // of shared memory it may change behind the check
    throw refused(`${what} has ${value.length} bytes, and the device's has ${length}`);
  };
  const configuration = bytes(state['configuration'], 'its configuration space', device.configuration.bytes.length);
  const strange = device.configuration.differs(configuration);
  if (strange !== undefined) throw refused(`its configuration space is another function's: ${strange}`);
  const saves = device.description.saveState !== undefined;
  if ('registers' in state !== saves) {
    throw refused(
      saves ? 'it has no registers, which restoreState takes' : 'it has registers, and there is no restoreState',
    );
  }
  return {
    version,
    configuration,
    msixTable: bytes(state['msixTable'], 'its MSI-X table', device.msixTable.length),
    pending: checkPending(device, state['pending'], refused),
    memory: checkMemory(device, state['memory'], bytes, refused),
    ...(saves && { registers: state['registers'] }),
  };
}

type Refused = (what: string) => IsmioError;

function checkPending(device: DeviceFunction, given: unknown, refused: Refused): DeviceState['pending'] {
  const pending = recordOf(given);
  if (pending === undefined) throw refused(`its pending vectors are ${shown(given)}`);
  const [msi, msix] = kinds.map((kind) => {
    const vectors = pending[kind];
    const most = vectorsOf(device, kind);
    const isVector = (vector: unknown) => Number.isInteger(vector) && Number(vector) >= 0 && Number(vector) < most;
    if (Array.isArray(vectors) && vectors.length <= most && vectors.every(isVector)) return vectors as number[];
    throw refused(`its pending vectors of ${kind} are ${shown(vectors)}, and the device has ${most}`);
  });
  return { msi: msi as number[], msix: msix as number[] };
}

function checkMemory(
  device: DeviceFunction,
  given: unknown,
  bytes: (value: unknown, what: string, length: number) => Uint8Array,
  refused: Refused,
): readonly MemoryState[] {
  const areas = areasOf(device);
  if (!Array.isArray(given) || given.length !== areas.length) {
    const found = Array.isArray(given) ? `${given.length} pieces` : shown(given);
    throw refused(`its memory is ${found}, and the device has ${areas.length} pieces`);
  }
  return areas.map(({ region, offset, memory }, i) => {
    const piece = recordOf(given[i]);
    if (piece?.['region'] !== region || piece['offset'] !== offset) {
      throw refused(`piece ${i} of its memory is not that of BAR ${region} at offset ${offset}`);
    }
    return { region, offset, bytes: bytes(piece['bytes'], `the memory of BAR ${region}`, memory.length) };
  });
}

function areasOf({ description }: DeviceFunction): { region: number; offset: number; memory: Uint8Array }[] {
  return description.bars.flatMap(({ index, areas }) =>
    areas.map(({ offset, bytes }) => ({ region: index, offset, memory: bytes })),
  );
}

function vectorsOf({ description }: DeviceFunction, kind: 'msi' | 'msix'): number {
  return kind === 'msi' ? description.msi : (description.msix?.vectors ?? 0);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isRecord ? (value as Readonly<Record<string, unknown>>) : undefined;
}
