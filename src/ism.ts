// What programs import as `ismio/ism`. Exports only.
export { Dmb, type DmbEvents } from './ism/driver/dmb.js';
export { Ism, type IsmEvents, openIsm } from './ism/driver/ism.js';
export type { MoveQueue } from './ism/driver/moves.js';
export type { DmbOptions, IsmEvent, IsmInfo, IsmOptions, MoveOptions } from './ism/driver/options.js';
export type { AdversaryOptions, Mischief } from './ism/fabric/adversary.js';
export {
  createFabric,
  type Fabric,
  type FabricOptions,
  type FabricStats,
  type IsmFunctionOptions,
} from './ism/fabric/fabric.js';
export type { IsmFunction, IsmFunctionStats, MoveRefusal } from './ism/fabric/function.js';
export type { ConnectOptions } from './ism/stream/connect.js';
export type { Mode } from './ism/stream/hello.js';
export type { IsmListener, IsmListenerEvents, ListenOptions } from './ism/stream/listen.js';
export type { StreamOptions } from './ism/stream/options.js';
export type { Reason } from './ism/stream/reasons.js';
export type { StreamCounters } from './ism/stream/station.js';
export type { IsmStream } from './ism/stream/stream.js';
