// Which disks a function serves: those of all targets on its driver, as whoever asks for a list is told of them.
import type { Ism } from '../../ism/driver/ism.js';
import { proves } from '../../ism/talk/key.js';
import type { ValuesOf } from '../../ism/talk/messages.js';
import type { BlockDevice } from '../disk.js';
import { permissionOf, type Serving } from './options.js';
import { diskFlagsOf, type FromTarget } from './wire.js';

/** A disk that is served. */
export interface Served {
  readonly disk: BlockDevice;
  readonly settings: Serving;
  /** Who has it now. */
  taken(): { readonly writer: bigint | null; readonly readers: number };
}

export type Listed = ValuesOf<FromTarget['disk']['fields']>;

const directories = new WeakMap<Ism, Set<Served>>();

/** It is served by this driver, until `forget`. */
export function enter(ism: Ism, served: Served): () => void {
  const directory = directories.get(ism) ?? new Set();
  directories.set(ism, directory.add(served));
  return () => void directory.delete(served);
}

/** Those that this function may have, with the key that it has shown, in the order of their ports. */
export function listFor(ism: Ism, gid: bigint, key: Uint8Array | null): Listed[] {
  return [...(directories.get(ism) ?? [])]
    .filter(({ settings }) => permissionOf(settings.access, gid) !== 'none' && isSameKey(settings.key, key))
    .sort((one, other) => one.settings.port - other.settings.port)
    .map((served) => listed(served, gid));
}

function isSameKey(one: Uint8Array | null, other: Uint8Array | null): boolean {
  return one === null || other === null ? one === other : proves(one, other);
}

function listed({ disk, settings, taken }: Served, gid: bigint): Listed {
  const { port, access, readOnly } = settings;
  const { writer, readers } = taken();
  const mayWrite = !readOnly && permissionOf(access, gid) === 'write';
  const { minimum, preferred, maximum } = disk.blockSize;
  return {
    ...{ port, flags: diskFlagsOf(disk, mayWrite), readers, writer: writer ?? 0n },
    ...{ minimum, preferred, maximum, size: BigInt(disk.size), name: disk.name },
  };
}
