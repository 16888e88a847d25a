// What an access came to, in a form that can be compared.
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { IsmioError, Region } from 'ismio';

export interface Refusal {
  readonly code: string;
  readonly rule: string | undefined;
  readonly errno: string | undefined;
}

export type Answer = 'done' | Refusal;

/** How `act` ends. */
export function answerOf(act: () => void): Answer {
  try {
    act();
    return 'done';
  } catch (error) {
    const { code, rule, errno } = error as IsmioError;
    return { code, rule, errno };
  }
}

export function storeBlock(region: Region, offset: number, length: number): Answer {
  return answerOf(() => region.storeBlock(offset, new Uint8Array(length).fill(0x5a)));
}

/** One pwrite on the open VFIO device, past the package: the bytes written, or the name of the errno. */
export function pwrite(offset: number, length: number): number | string {
  try {
    return writeSync(deviceDescriptor(), new Uint8Array(length).fill(0x5a), 0, length, offset);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** A descriptor of the process's open VFIO device; a region on it has one of its own. */
function deviceDescriptor(): number {
  const open = readdirSync('/proc/self/fd').find((fd) => isDevice(join('/proc/self/fd', fd)));
  if (open === undefined) throw new Error('no VFIO device is open');
  return Number(open);
}

function isDevice(path: string): boolean {
  try {
    return readlinkSync(path) === 'anon_inode:[vfio-device]';
  } catch {
    return false; // the descriptor that listed the folder
  }
}
