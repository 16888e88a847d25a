// What a fabric that is served says of itself, at a socket beside those of its functions: one line of JSON for each that asks.
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Fabric, FabricStats, IsmFunctionStats } from 'ismio/ism';
import { IsmioError } from '../support/errors.js';

export const statusSocket = 'status.sock';

/** Milliseconds that either end waits for the other. */
const patience = 5000;
const mostAsking = 16;

/** How a function of the fabric is. */
export interface FunctionStatus extends IsmFunctionStats {
  readonly socket: string;
  /** Hexadecimal, as are all GIDs in JSON. */
  readonly gid: string;
  /** Whether a driver is there: it has registered where it is to be told. */
  readonly driver: boolean;
}

export interface FabricStatus {
  readonly chid: number;
  readonly process: number;
  /** Of `ismio ism serve`, in seconds. */
  readonly uptime: number;
  readonly adversary: FabricStats['adversary'];
  readonly functions: readonly FunctionStatus[];
}

export function statusOf(fabric: Fabric): FabricStatus {
  const { chid, functions } = fabric;
  return {
    chid,
    adversary: fabric.stats().adversary,
    process: process.pid,
    uptime: Math.round(process.uptime()),
    functions: functions.map((one, i) => ({
      socket: socketName(i),
      gid: `0x${one.gid.toString(16)}`,
      driver: one.present,
      ...one.stats(),
    })),
  };
}

export function socketName(index: number): string {
  return `${index}.sock`;
}

/** Answers everybody who connects. Who may connect to the folder's sockets may know. */
export async function answerStatus(fabric: Fabric, folder: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(patience, () => socket.destroy());
    socket.resume();
    socket.end(`${JSON.stringify(statusOf(fabric))}\n`);
  });
  server.maxConnections = mostAsking;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ path: join(folder, statusSocket) }, resolve);
  });
  return server;
}

/** @throws IsmioError ERR_ISMIO_OPEN where no fabric is served there, or it does not answer in time */
export async function askStatus(folder: string): Promise<FabricStatus> {
  const path = join(folder, statusSocket);
  const said: Buffer[] = [];
  try {
    const socket = connect({ path });
    socket.setTimeout(patience, () => socket.destroy(new Error('no answer in 5 s')));
    for await (const bytes of socket) said.push(bytes as Buffer);
    return JSON.parse(Buffer.concat(said).toString()) as FabricStatus;
  } catch (error) {
    const { code = (error as Error).message } = error as NodeJS.ErrnoException;
    const text = `no fabric is served in ${folder}: ${path}: ${code}. ismio ism serve --dir ${folder} serves one`;
    throw new IsmioError('ERR_ISMIO_OPEN', text, { path, errno: code }, error);
  }
}
