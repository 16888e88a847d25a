// Which disks a function serves.
import type { Ism } from '../../ism/driver/ism.js';
import { checkGid } from '../../ism/gid.js';
import { checkPort } from '../../ism/stream/options.js';
import { checkKey } from '../../ism/talk/key.js';
import { checkOptions } from '../../support/check.js';
import { Dialogue } from './dialogue.js';
import type { Listed } from './directory.js';
import { defaultPort, diskFlag } from './wire.js';

/** What `listDisks` takes. */
export interface ListDisksOptions {
  /** Of the function, where one of its disks is: whoever serves that tells of all that it serves. Default 10809. */
  readonly port?: number;
  readonly key?: string | Uint8Array;
}

/** A disk of a list. */
export interface ListedDisk {
  /** Where it is opened. */
  readonly port: number;
  readonly name: string;
  readonly size: number;
  /** Of the block that it prefers. */
  readonly blockSize: number;
  /** Whether this function may only read it. */
  readonly readOnly: boolean;
  /** GID of whoever writes. */
  readonly writer: bigint | null;
  /** Initiators that have it for reads alone. */
  readonly readers: number;
}

/**
 * The disks that a function serves, of those that this one may have.
 * @throws IsmioError ERR_ISMIO_BLOCK where the target refuses, with `reason` 'key' or 'version'; what `ism.connect` throws
 */
export async function listDisks(ism: Ism, gid: bigint, options: ListDisksOptions = {}): Promise<ListedDisk[]> {
  checkOptions(options, ['port', 'key'], 'listDisks');
  const { port = defaultPort } = options;
  const settings = { port: checkPort(port), key: checkKey(options.key), readOnly: true, dataDigest: false, stream: {} };
  const dialogue = await Dialogue.open({ ism, gid: checkGid(gid, 'gid'), initiator: 0n, settings });
  try {
    return (await dialogue.list()).map(shown);
  } finally {
    dialogue.destroy();
  }
}

function shown({ port, name, size, preferred, flags, writer, readers }: Listed): ListedDisk {
  const readOnly = (flags & diskFlag.readOnly) !== 0;
  return {
    ...{ port, name, size: Number(size), blockSize: preferred, readOnly, readers },
    writer: writer === 0n ? null : writer,
  };
}
