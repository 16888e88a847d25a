// The device's side of a register map: what each access does to what the registers hold. A function for each access that a
// register takes, made when the device is: numbers and bigints each by their own.
import type { ByteOrder } from '../access/region-like.js';
import { rangeError, shown as text } from '../support/errors.js';
import type { Loaded, Width } from './description.js';
import type { Cell, Value } from './register-cells.js';

export type Held = Record<string, Value>;
export type LoadHook = () => Value | Promise<Value>;
export type StoreHook = (value: Value, before: Value) => void | Promise<void>;

export type Load = () => Loaded | Promise<Loaded>;
export type Store = (value: Value) => void | Promise<void>;

const all64 = (1n << 64n) - 1n;
const all32 = 0xffff_ffffn;

/** Accesses by their place and width; offsets have at most 48 bits. */
export function keyOf(offset: number, width: Width): number {
  return offset * 16 + width;
}

/** Where a register is accessed: all of it, and its halves where it has any. `shift`: where the half is in it. */
export function placesOf({ at, width, halves }: Cell, order: ByteOrder): { key: number; shift: bigint | null }[] {
  const whole = { key: keyOf(at, width), shift: null };
  if (!halves) return [whole];
  const [low, high] = order === 'le' ? [at, at + 4] : [at + 4, at];
  return [whole, { key: keyOf(low, 4), shift: 0n }, { key: keyOf(high, 4), shift: 32n }];
}

export function loadOf(cell: Cell, held: Held, hook: LoadHook | undefined, shift: bigint | null): Load {
  const { name } = cell;
  const loaded = cell.width === 8 ? wideLoaded(cell, held, shift) : narrowLoaded(cell, held);
  if (hook === undefined) return () => loaded(held[name]);
  return () => {
    const value = hook();
    return value instanceof Promise ? value.then(loaded) : loaded(value);
  };
}

export function storeOf(cell: Cell, held: Held, hook: StoreHook | undefined, shift: bigint | null): Store {
  return cell.width === 8 ? wideStore(cell, held, hook, shift) : narrowStore(cell, held, hook);
}

/** JavaScript's bit operations give signed numbers, here and to a device that uses them. */
function narrowLoaded(cell: Cell, held: Held): (value: unknown) => number {
  const { name } = cell;
  const [shown, consumed] = [cell.shown as number, cell.consumed as number];
  return (value) => {
    if (!Number.isInteger(value)) throw notHeld(cell, value);
    if (consumed !== 0) held[name] = (held[name] as number) & ~consumed;
    return ((value as number) & shown) >>> 0;
  };
}

function narrowStore(cell: Cell, held: Held, hook: StoreHook | undefined): Store {
  const { name } = cell;
  const all = 2 ** (8 * cell.width) - 1;
  const [replaced, cleared] = [cell.replaced as number, cell.cleared as number];
  return (value) => {
    const before = held[name] as number;
    if (!Number.isInteger(before)) throw notHeld(cell, before);
    const bits = value as number;
    held[name] = (((before & all & ~replaced) | (bits & replaced)) & ~(bits & cleared)) >>> 0;
    return hook?.((bits & (replaced | cleared)) >>> 0, (before & all) >>> 0);
  };
}

function wideLoaded(cell: Cell, held: Held, shift: bigint | null): (value: unknown) => Loaded {
  const { name } = cell;
  const shown = cell.shown as bigint;
  const consumed = (cell.consumed as bigint) & maskOf(shift);
  return (value) => {
    if (typeof value !== 'bigint') throw notHeld(cell, value);
    if (consumed !== 0n) held[name] = (held[name] as bigint) & ~consumed;
    const whole = value & shown;
    return shift === null ? whole : Number((whole >> shift) & all32);
  };
}

/** A half is stored with the other half as a store of all would have it that changes nothing there. */
function wideStore(cell: Cell, held: Held, hook: StoreHook | undefined, shift: bigint | null): Store {
  const { name } = cell;
  const [replaced, cleared] = [cell.replaced as bigint, cell.cleared as bigint];
  const beside = replaced & ~maskOf(shift);
  return (value) => {
    const before = held[name];
    if (typeof before !== 'bigint') throw notHeld(cell, before);
    const bits = shift === null ? (value as bigint) : (BigInt(value) << shift) | (before & beside);
    held[name] = ((before & all64 & ~replaced) | (bits & replaced)) & ~(bits & cleared);
    return hook?.(bits & (replaced | cleared), before & all64);
  };
}

function maskOf(shift: bigint | null): bigint {
  return shift === null ? all64 : all32 << shift;
}

function notHeld({ name, width }: Cell, value: unknown): Error {
  const wanted = width === 8 ? 'a bigint' : 'a whole number';
  return rangeError('ERR_ISMIO_VALUE', `register ${name} must hold ${wanted}, not ${text(value)}`, {
    register: name,
    value,
  });
}
