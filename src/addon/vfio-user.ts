// Both ends of vfio-user as the addon has them.
import type { ConnectionHandle, FunctionHandle, RegionHandle, ServerHandle } from './handles.js';
import type { RuleArguments } from './regions.js';

/** What is told of a server; the numbers of `what` are those of `happenings`. */
export type ServerHappened = (what: number, errno: number, pid: number, uid: number, gid: number) => void;

/** native/binding/server.cc */
export interface NativeServers {
  open(
    device: FunctionHandle,
    path: string,
    mode: number,
    maxDmaMaps: number,
    happened: ServerHappened,
  ): ServerHandle | { call: string; errno: number };
  close(server: ServerHandle): void;
  keepAlive(server: ServerHandle, on: boolean): void;
  /** In the order of `struct Counts` in native/vfio-user/common.h. */
  counts(server: ServerHandle, into: Float64Array): void;
}

/** native/binding/connection.cc. A negative answer is -errno. */
export interface NativeConnections {
  /** `told` is called once when the server is lost. */
  connect(
    path: string,
    milliseconds: number,
    told: (why: number) => void,
  ): { connection: ConnectionHandle; process: number; user: number } | { call: string; errno: number };
  /** How long the payload of the reply is, which is in `reply`. */
  call(
    connection: ConnectionHandle,
    command: number,
    payload: Uint8Array,
    descriptors: Int32Array | null,
    reply: Uint8Array,
  ): number;
  /** Why the server is lost; 0 while it is there. */
  lost(connection: ConnectionHandle): number;
  close(connection: ConnectionHandle): void;
  mapDma(
    connection: ConnectionHandle,
    iova: bigint,
    memory: number,
    position: number,
    length: number,
    readable: boolean,
    writable: boolean,
  ): number;
  unmapDma(connection: ConnectionHandle, iova: bigint, length: number): number;
  /** `areas`: pairs of offset and length, what of the region is to be mapped. */
  region(
    connection: ConnectionHandle,
    index: number,
    size: number,
    writable: boolean,
    burst: boolean,
    posted: boolean,
    areas: Float64Array,
    ...rest: [...RuleArguments, name: string]
  ): RegionHandle | { call: string; errno: number };
}
