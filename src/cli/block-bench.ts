// ismio block bench: how fast a disk is, here.
import { statSync } from 'node:fs';
import { freemem } from 'node:os';
import { Command, Option } from 'commander';
import type { BlockDevice, IsmDisk } from 'ismio/block';
import type { DiskWorkload } from '../../bench/disks/load.js';
import type { DiskReport } from '../../bench/disks/measure.js';
import { IsmioError, isIsmioError } from '../support/errors.js';
import { checkUnused, isNbdUri, openDisk } from './disks.js';
import { usageError } from './failure.js';
import { addPeerChoice, commonOf, opener, type PeerOptions, parseSeconds } from './function-options.js';
import { signalled } from './lasting.js';
import { parseCount } from './numbers.js';
import { note, print, printJson, printPart } from './output.js';
import { Progress } from './progress.js';

interface Options extends Partial<PeerOptions> {
  write?: boolean;
  only?: DiskWorkload[];
  blockSize: number;
  sequentialSize: number;
  depth: number;
  seconds: number;
  rounds: number;
  oDirect?: boolean;
  dataDigest?: boolean;
  json?: boolean;
}

/** As of bench/disks, which is loaded when this command runs. */
const workloads = ['random-read', 'random-write', 'sequential-read', 'sequential-write'] as const;
const mostDepth = 4096;

const notes = `
DISK is a file, a block device, a URI of NBD, or memory:SIZE, which is filled first; in its place, --device and --peer name a
disk of another ISM function. Reads are measured; writes as well in memory, and with --write, which overwrites what is there,
anywhere on the disk. What is measured is this process and the disk together, through the page cache unless --o-direct says
otherwise.

Examples:
  ismio block bench memory:64M
  ismio block bench 'nbd+unix:///?socket=/tmp/disk.sock' --only random-read
  ismio block bench /dev/nvme0n1p3 --o-direct --depth 64
  ismio block bench --device vfio-user:/tmp/fabric/1.sock --peer 0x11 --direct --json`;

export function blockBenchCommand(port: number): Command {
  const command = new Command('bench')
    .description('measure a disk: random and sequential reads and writes, their rate and their latency')
    .argument('[disk]', 'a file, a block device, memory:SIZE, or a URI of NBD');
  return addPeerChoice(command, port)
    .option('--write', 'measure writes too: they overwrite what is on the disk')
    .addOption(new Option('--only <workload...>', 'measure these alone').choices(workloads))
    .option('--block-size <bytes>', 'of a random request', parseCount, 4096)
    .option('--sequential-size <bytes>', 'of a sequential request', parseCount, 262_144)
    .option('--depth <number>', `requests in flight, 1 to ${mostDepth}`, parseCount, 32)
    .option('--seconds <seconds>', 'that a workload is measured in one round', parseSeconds, 1)
    .option('--rounds <number>', 'that count, 1 to 1000', parseCount, 5)
    .option('--o-direct', 'past the page cache (O_DIRECT)')
    .option('--data-digest', 'have data of another function’s disk checked by CRC32C')
    .option('--json', 'print JSON')
    .addHelpText('after', notes)
    .action(bench);
}

async function bench(place: string | undefined, options: Options): Promise<void> {
  const { json, depth, seconds, rounds } = options;
  for (const [name, value, most] of [
    ['depth', depth, mostDepth],
    ['rounds', rounds, 1000],
  ] as const) {
    if (value < 1 || value > most) throw usageError(`--${name} is from 1 to ${most}, not ${value}`);
  }
  if (seconds === 0) throw usageError('--seconds has to be more than 0');
  const isMemory = place?.startsWith('memory:') === true;
  const mayWrite = isMemory || options.write === true;
  const chosen = chosenOf(options, mayWrite);
  const signal = signalled();
  const writes = chosen.some((workload) => workload.endsWith('write'));
  const disk = await opened(place, options, writes, signal);
  let report: DiskReport;
  try {
    if (writes && disk.readOnly)
      throw new IsmioError('ERR_ISMIO_READ_ONLY', `${disk.name} is for reads alone: leave out --write`);
    checkSizes(disk, options, chosen, isMemory);
    const { measureDisk } = await import('../../bench/disks/measure.js');
    const isIsm = place === undefined;
    using progress = new Progress('measuring', chosen.length * (rounds + 1));
    report = await measureDisk(disk, {
      ...{ workloads: chosen, random: options.blockSize, sequential: options.sequentialSize, depth, rounds, signal },
      ...{ milliseconds: seconds * 1000, fill: isMemory },
      moves: isIsm ? () => (disk as IsmDisk).stats().moves : null,
      onStart: (done, workload) => progress.at(done, workload),
    });
    const { sessions = 1 } = isIsm ? (disk as IsmDisk).stats() : {};
    if (sessions > 1)
      note(`the target was lost meanwhile, ${sessions - 1} times: moves and latencies have that in them`);
  } catch (error) {
    // The signal closes the disk of an NBD server, which may not answer any more.
    if (!signal.aborted || isIsmioError(error, 'ERR_ISMIO_ABORTED')) throw error;
    throw new IsmioError('ERR_ISMIO_ABORTED', 'the measurement was ended', {}, error);
  } finally {
    await disk.close();
  }
  if (json === true) printJson(report);
  else {
    const { diskTable } = await import('../../bench/disks/table.js');
    print(diskTable(report));
    if (!mayWrite && options.only === undefined)
      print('Writes were left out: --write measures them, and overwrites what is there.');
  }
  await printPart(''); // what could not be written is told
  process.exit();
}

/** Nothing is overwritten that nobody has said may be. */
function chosenOf({ only }: Options, mayWrite: boolean): DiskWorkload[] {
  const writing = only?.find((workload) => workload.endsWith('write'));
  if (writing !== undefined && !mayWrite) {
    throw usageError(`${writing} overwrites what is on the disk: --write says that it may`);
  }
  return workloads.filter((workload) => {
    return only === undefined ? mayWrite || workload.endsWith('read') : only.includes(workload);
  });
}

async function opened(
  place: string | undefined,
  options: Options,
  writes: boolean,
  signal: AbortSignal,
): Promise<BlockDevice> {
  const { device, peer, oDirect = false, dataDigest = false } = options;
  if ((place === undefined) === (device === undefined)) throw usageError('bench takes a DISK, or --device and --peer');
  if (place === undefined) {
    if (device === undefined || peer === undefined) throw usageError('--device takes --peer GID');
    if (oDirect) throw usageError('--o-direct is for files and block devices');
    const { openBlock } = await import('ismio/block');
    return await openBlock(await opener({ ...options, device }), peer, {
      ...commonOf({ ...options, device }),
      ...{ readOnly: !writes, dataDigest },
    });
  }
  const { direct, port, keyFile } = options;
  const ofFunctions = { peer, direct, port, 'key-file': keyFile, 'data-digest': dataDigest };
  for (const [name, value] of Object.entries(ofFunctions))
    if (value !== undefined && value !== false) throw usageError(`--${name} is for disks of another function`);
  const isFile = !isNbdUri(place);
  if (writes && isFile && statSync(place, { throwIfNoEntry: false })?.isBlockDevice() === true) checkUnused(place);
  return await openDisk(place, { readOnly: !writes && !place.startsWith('memory:'), oDirect, signal });
}

function checkSizes(
  { size, name, blockSize: { minimum } }: BlockDevice,
  { blockSize, sequentialSize }: Options,
  chosen: readonly DiskWorkload[],
  fills: boolean,
): void {
  for (const [option, bytes] of [
    ['--block-size', blockSize],
    ['--sequential-size', sequentialSize],
  ] as const) {
    const isUsed = chosen.some((workload) => workload.startsWith('random') === (option === '--block-size'));
    if (!isUsed) continue;
    if (bytes < 1 || bytes > 2 ** 25) throw usageError(`${option} is from 1 to 32M, not ${bytes}`);
    if (bytes % minimum !== 0) throw usageError(`${option} has to be a multiple of ${minimum}, which ${name} wants`);
    if (bytes > size) throw usageError(`${name} has ${size} bytes, and ${option} is ${bytes}`);
  }
  const free = freemem();
  if (fills && size > free / 2) throw usageError(`${name} is filled, and of memory ${free} bytes are free`);
}
