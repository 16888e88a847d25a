// What commands on an ISM function have in common: which it is, whom they talk to, the key.
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import type { Ism } from 'ismio/ism';
import { fileError } from './failure.js';
import { parseCount, parseWhole } from './numbers.js';

const consolePort = 23;

export interface FunctionOptions {
  device: string;
  direct?: boolean;
  port?: number;
  keyFile?: string;
}

export interface PeerOptions extends FunctionOptions {
  peer: bigint;
}

const deviceOption = ['--device <which>', 'the ISM function of this end: vfio-user:PATH or vfio:BDF'] as const;
const peerOption = ['--peer <gid>', 'the GID of the function that serves it'] as const;

/** @param port the one that is used where none is given */
export function addFunctionOptions(command: Command, port = consolePort): Command {
  return addFurther(command.requiredOption(...deviceOption, parseDevice), port);
}

/** Of commands that do something else where no function is named. */
export function addPeerChoice(command: Command, port: number): Command {
  return addFurther(command.option(...deviceOption, parseDevice), port).option(...peerOption, parseWhole);
}

function addFurther(command: Command, port: number): Command {
  return command
    .option('--direct', 'store past the fabric where it lends its memory (ismio ism serve --direct)')
    .option('--port <number>', `of the function, 0 to 65535 (default: ${port})`, parseCount)
    .option('--key-file <path>', 'a key that both ends have, 16 bytes or more');
}

export function addPeerOptions(command: Command, port = consolePort): Command {
  return addFunctionOptions(command, port).requiredOption(...peerOption, parseWhole);
}

function parseDevice(text: string): string {
  if (/^(vfio-user|vfio):.+$/s.test(text)) return text;
  throw new InvalidArgumentError('It has to be vfio-user:PATH or vfio:BDF.');
}

/** Opens the function, each time anew. */
export async function opener({ device, direct = false }: FunctionOptions): Promise<() => Promise<Ism>> {
  const { openVfio, openVfioUser } = await import('ismio');
  const { openIsm } = await import('ismio/ism');
  const [, road, place = ''] = /^([^:]+):(.+)$/s.exec(device) ?? [];
  return async () => openIsm(road === 'vfio' ? openVfio(place) : openVfioUser(place), { direct });
}

/** What `ismio/console` and `ismio/block` take of them. */
export function commonOf({ port, keyFile }: FunctionOptions): { port?: number; key?: Uint8Array } {
  return { ...(port !== undefined && { port }), ...(keyFile !== undefined && { key: keyIn(keyFile) }) };
}

/** The file's bytes, without the line's end that editors leave. */
function keyIn(path: string): Uint8Array {
  try {
    const bytes = readFileSync(path);
    const end = bytes.at(-1) === 10 ? bytes.length - 1 : bytes.length;
    return bytes.subarray(0, end);
  } catch (error) {
    throw fileError(path, error);
  }
}

/** Of milliseconds, a timer takes 31 bits. */
const mostSeconds = 2_000_000;

export function parseSeconds(text: string): number {
  const seconds = /^[0-9.]+$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= mostSeconds) return seconds;
  const most = seconds > mostSeconds ? `at most ${mostSeconds} seconds` : 'a number of seconds, such as 60 or 0.5';
  throw new InvalidArgumentError(`It has to be ${most}.`);
}

/** One more of several GIDs. */
export function addGid(text: string, before: bigint[] = []): bigint[] {
  return [...before, parseWhole(text)];
}
