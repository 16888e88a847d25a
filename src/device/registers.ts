// A register map: registers by their names, that a device answers from and its driver asks by.
//
//   const map = registerMap({ registers: { control: { at: 0, width: 4, bits: { enable: 0 } }, count: { at: 8, width: 8, access: 'ro' } } });
//   regions: { 0: { size: 4096, ...map.handlers({ store: { control: (value) => .. } }) } }       the device
//   map.on(device.region(0)).control.write({ enable: true })                                      its driver
import type { ByteOrder, RegionLike } from '../access/region-like.js';
import { checkCallback, checkOptions, checkWord } from '../support/check.js';
import { hex, IsmioError } from '../support/errors.js';
import type { Handlers, Width } from './description.js';
import { type Held, keyOf, type LoadHook, loadOf, placesOf, type StoreHook, storeOf } from './register-answers.js';
import { type Cell, cellsOf, type Registers } from './register-cells.js';
import { accessorsOf, type FieldsOf, type RegistersOn, type ValueOf } from './register-driver.js';

export type { BitPlace, BitsDescription, RegisterAccess, RegisterDescription, Registers } from './register-cells.js';
export type { FieldsOf, RegisterOn, RegistersOn, ValueOf } from './register-driver.js';

/** What the registers of a device hold. The device may store to them as it likes: what accesses may is not asked. */
export type RegisterValues<M extends Registers> = { -readonly [N in keyof M]: ValueOf<M[N]> };

/** Masks of the bits that have names. */
export type RegisterBits<M extends Registers> = {
  readonly [N in keyof M]: { readonly [B in keyof FieldsOf<M[N]>]: ValueOf<M[N]> };
};

type Named<M extends Registers, Access> = {
  [N in keyof M]: M[N] extends { readonly access: Access } ? never : N;
}[keyof M];

/** What a device does when its registers are accessed. */
export interface RegisterHandlers<M extends Registers> {
  /** What the registers hold, of `map.values()`. Default: values of their own, after a reset. */
  readonly values?: RegisterValues<M>;
  /** What loads of a register give in place of what it holds, cut to its width. Bits that are write-only read as zeros. */
  readonly load?: { readonly [N in Named<M, 'wo'>]?: () => ValueOf<M[N]> | Promise<ValueOf<M[N]>> };
  /**
   * Called after a store, when the register holds what it then holds: with what was stored to the bits that take it, and with
   * what the register held before.
   */
  readonly store?: {
    readonly [N in Named<M, 'ro' | 'rc'>]?: (value: ValueOf<M[N]>, before: ValueOf<M[N]>) => void | Promise<void>;
  };
  /**
   * What accesses get that no register takes: where none is, of another width, loads of one that is only stored to, stores to
   * one that is only loaded. 'refuse' (the default): the device refuses them. 'zeros' and 'ones': loads give that, stores do
   * nothing. Or handlers that answer them.
   */
  readonly otherwise?: 'refuse' | 'zeros' | 'ones' | Pick<Handlers, 'load' | 'store'>;
}

/** Handlers of a BAR, with the byte order of their values. */
export type RegisterAnswers = Required<Pick<Handlers, 'load' | 'store'>> & { readonly order: ByteOrder };

export interface RegisterMap<M extends Registers> {
  readonly order: ByteOrder;
  /** The registers as they were described: where they are, how wide. */
  readonly registers: M;
  readonly bits: RegisterBits<M>;
  /** What the registers hold after a reset. */
  values(): RegisterValues<M>;
  /** Gives the registers the values again that they have after a reset. */
  reset(values: RegisterValues<M>): void;
  /** Handlers for a BAR that is these registers. */
  handlers(options?: RegisterHandlers<M>): RegisterAnswers;
  /** The registers of a region, for the device's driver. */
  on(region: RegionLike): RegistersOn<M>;
}

/** @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE: with the `register` that is wrong, and what is */
export function registerMap<const M extends Registers>(description: {
  /** Order of the bytes of values. Default 'le'. */
  readonly order?: ByteOrder;
  readonly registers: M;
}): RegisterMap<M> {
  checkOptions(description, ['order', 'registers'], 'registerMap');
  const { order = 'le', registers } = description;
  checkWord(order, 'order', ['le', 'be']);
  const cells = cellsOf(registers);
  const values = () => Object.fromEntries(cells.map(({ name, reset }) => [name, reset])) as RegisterValues<M>;
  return Object.freeze({
    order,
    registers,
    bits: bitsOf(cells) as RegisterBits<M>,
    values,
    reset: (held: RegisterValues<M>) => void Object.assign(held, values()),
    handlers: (options: RegisterHandlers<M> = {}) => answers(cells, order, options as Options, values),
    on: (region: RegionLike) => accessorsOf(cells, region, order) as RegistersOn<M>,
  });
}

function bitsOf(cells: readonly Cell[]): object {
  const masks = ({ fields }: Cell) => Object.freeze(Object.fromEntries(fields.map(({ name, mask }) => [name, mask])));
  return Object.freeze(Object.fromEntries(cells.map((cell) => [cell.name, masks(cell)])));
}

/** The options of `handlers`, whatever the registers are called. */
interface Options {
  readonly values?: Held;
  readonly load?: Readonly<Record<string, LoadHook | undefined>>;
  readonly store?: Readonly<Record<string, StoreHook | undefined>>;
  readonly otherwise?: RegisterHandlers<Registers>['otherwise'];
}

function answers(cells: readonly Cell[], order: ByteOrder, options: Options, afterReset: () => Held): RegisterAnswers {
  checkOptions(options, ['values', 'load', 'store', 'otherwise'], 'handlers');
  const { values = afterReset(), load: whenLoaded = {}, store: whenStored = {}, otherwise = 'refuse' } = options;
  const loadable = cells.filter((cell) => cell.loads);
  const storable = cells.filter((cell) => cell.stores);
  checkHooks('load', whenLoaded, loadable);
  checkHooks('store', whenStored, storable);
  const loads = byPlace(loadable, order, (cell, shift) => loadOf(cell, values, whenLoaded[cell.name], shift));
  const stores = byPlace(storable, order, (cell, shift) => storeOf(cell, values, whenStored[cell.name], shift));
  const others = otherwise !== null && typeof otherwise === 'object' ? otherwise : untaken(otherwise);
  return {
    order,
    load(offset, width) {
      const load = loads.get(keyOf(offset, width));
      if (load !== undefined) return load();
      return others.load?.(offset, width) ?? refuse(cells, 'load', offset, width);
    },
    store(offset, value, width) {
      const store = stores.get(keyOf(offset, width));
      if (store !== undefined) return store(value);
      return others.store === undefined ? refuse(cells, 'store', offset, width) : others.store(offset, value, width);
    },
  };
}

function byPlace<Access>(
  cells: readonly Cell[],
  order: ByteOrder,
  make: (cell: Cell, shift: bigint | null) => Access,
): Map<number, Access> {
  return new Map(cells.flatMap((cell) => placesOf(cell, order).map(({ key, shift }) => [key, make(cell, shift)])));
}

function untaken(otherwise: unknown): Pick<Handlers, 'load' | 'store'> {
  const word = checkWord(otherwise, 'otherwise', ['refuse', 'zeros', 'ones']);
  if (word === 'refuse') return {};
  const bits = word === 'ones' ? (1n << 64n) - 1n : 0n;
  return {
    load: (_offset, width) => (width === 8 ? bits : Number(BigInt.asUintN(8 * width, bits))),
    store: () => {},
  };
}

function refuse(cells: readonly Cell[], what: 'load' | 'store', offset: number, width: Width): never {
  const near = cells.find(({ at, width: bytes }) => offset < at + bytes && at < offset + width);
  const there = near === undefined ? 'there is none' : `${near.name} has ${near.width} bytes at ${hex(near.at)}`;
  const text = `no register takes a ${what} of ${width} bytes at ${hex(offset)}: ${there}`;
  throw new IsmioError('ERR_ISMIO_DEVICE', text, { offset, length: width });
}

/** A misspelt name would never be called. */
function checkHooks(what: 'load' | 'store', hooks: object, cells: readonly Cell[]): void {
  const names = cells.map(({ name }) => name);
  checkOptions(hooks, names, `${what} of handlers`);
  for (const [name, hook] of Object.entries(hooks)) checkCallback(hook, `${what}.${name}`);
}
