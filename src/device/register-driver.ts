// The driver's side of a register map: each register of a region by its name.
import type { ByteOrder, RegionLike } from '../access/region-like.js';
import { rangeError, shown } from '../support/errors.js';
import type { Cell, Field, RegisterDescription, Registers, Value } from './register-cells.js';

/** What a register holds. */
export type ValueOf<R extends RegisterDescription> = R['width'] extends 8 ? bigint : number;

/** What the named bits of a register are: true or false of one bit, else a number or, of 8 bytes, a bigint. */
export type FieldsOf<R extends RegisterDescription> = R['bits'] extends infer Bits extends object
  ? { -readonly [N in keyof Bits]: Bits[N] extends number | { readonly at: number } ? boolean : ValueOf<R> }
  : Record<never, never>;

interface Loading<R extends RegisterDescription> {
  /** Makes one load of the register's width. */
  load(): ValueOf<R>;
  /** Makes one load: what the bits with names are. */
  read(): FieldsOf<R>;
}

interface Storing<R extends RegisterDescription> {
  /** Makes one store of the register's width. */
  store(value: ValueOf<R>): void;
  /** Makes one store: the bits that are not given are zero. */
  write(fields: Partial<FieldsOf<R>>): void;
}

interface Changing<R extends RegisterDescription> {
  /** Makes a load and a store: the bits that are not given stay as they are, and those that ones clear are not cleared. */
  change(fields: Partial<FieldsOf<R>>): void;
}

/** A register of a region, with what its access allows. */
export type RegisterOn<R extends RegisterDescription> = R extends { readonly access: 'wo' }
  ? Storing<R>
  : R extends { readonly access: 'ro' | 'rc' }
    ? Loading<R>
    : Loading<R> & Storing<R> & Changing<R>;

/** The registers of a region by their names. */
export type RegistersOn<M extends Registers> = { readonly [N in keyof M]: RegisterOn<M[N]> };

export function accessorsOf(cells: readonly Cell[], region: RegionLike, order: ByteOrder): object {
  return Object.freeze(Object.fromEntries(cells.map((cell) => [cell.name, accessorOf(cell, region, order)])));
}

function accessorOf(cell: Cell, region: RegionLike, order: ByteOrder): object {
  const load = loaderOf(cell, region, order);
  const store = storerOf(cell, region, order);
  const loading = { load, read: () => split(cell, load()) };
  const storing = { store, write: (fields: Fields) => store(joined(cell, none(cell), fields)) };
  const changing = { change: (fields: Fields) => store(joined(cell, and(load(), cell.replaced), fields)) };
  return Object.freeze({
    ...(cell.loads ? loading : {}),
    ...(cell.stores ? storing : {}),
    ...(cell.loads && cell.stores ? changing : {}),
  });
}

type Fields = Readonly<Record<string, boolean | Value | undefined>>;

function none(cell: Cell): Value {
  return cell.width === 8 ? 0n : 0;
}

function loaderOf({ at, width }: Cell, region: RegionLike, order: ByteOrder): () => Value {
  if (width === 8) return () => region.load64(at, order);
  if (width === 4) return () => region.load32(at, order);
  return width === 2 ? () => region.load16(at, order) : () => region.load8(at);
}

function storerOf({ at, width }: Cell, region: RegionLike, order: ByteOrder): (value: Value) => void {
  if (width === 8) return (value) => region.store64(at, value as bigint, order);
  if (width === 4) return (value) => region.store32(at, value as number, order);
  return width === 2
    ? (value) => region.store16(at, value as number, order)
    : (value) => region.store8(at, value as number);
}

function split({ fields }: Cell, value: Value): Fields {
  return Object.fromEntries(fields.map((field) => [field.name, partOf(field, value)]));
}

function partOf({ lowest, single, mask }: Field, value: Value): boolean | Value {
  const bits = and(value, mask);
  if (single) return bits !== 0 && bits !== 0n;
  return typeof bits === 'bigint' ? bits >> BigInt(lowest) : bits >>> lowest;
}

/** The value with other bits in the place of some. */
function joined(cell: Cell, value: Value, given: Fields): Value {
  let all = value;
  for (const [name, part] of Object.entries(given)) {
    const field = cell.fields.find((one) => one.name === name);
    if (field === undefined) {
      const there = cell.fields.map((one) => one.name).join(', ') || 'none';
      throw rangeError('ERR_ISMIO_OPTION', `register ${cell.name} has no bits '${name}'; it has ${there}`, {
        register: cell.name,
      });
    }
    if (part !== undefined) all = or(without(all, field.mask), placed(cell, field, part));
  }
  return all;
}

function placed(cell: Cell, { name, lowest, single, mask }: Field, part: boolean | Value): Value {
  const wide = cell.width === 8;
  if (single && typeof part === 'boolean') return part ? mask : none(cell);
  const fits = !single && (wide ? typeof part === 'bigint' : Number.isInteger(part));
  const bits = fits ? BigInt(part) << BigInt(lowest) : -1n;
  if (bits >= 0n && (bits & ~BigInt(mask)) === 0n) return wide ? bits : Number(bits);
  const wanted = single ? 'true or false' : `a ${wide ? 'bigint' : 'number'} that fits its bits`;
  const text = `${name} of register ${cell.name} must be ${wanted}, not ${shown(part)}`;
  throw rangeError('ERR_ISMIO_VALUE', text, { register: cell.name, value: part });
}

function and(a: Value, b: Value): Value {
  return typeof a === 'bigint' ? a & (b as bigint) : (a & (b as number)) >>> 0;
}

function or(a: Value, b: Value): Value {
  return typeof a === 'bigint' ? a | (b as bigint) : (a | (b as number)) >>> 0;
}

function without(a: Value, b: Value): Value {
  return typeof a === 'bigint' ? a & ~(b as bigint) : (a & ~(b as number)) >>> 0;
}
