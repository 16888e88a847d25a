// What programs import as `ismio/device`. Exports only.
export type {
  BarDescription,
  DeviceDescription,
  Handlers,
  InterruptDescription,
  Loaded,
  MemoryArea,
  MsixDescription,
  Width,
} from './device/description.js';
export { type Device, type DeviceDma, type DeviceEvents, defineDevice } from './device/device.js';
export type { RefusedWrite } from './device/function.js';
export {
  type BitPlace,
  type BitsDescription,
  type FieldsOf,
  type RegisterAccess,
  type RegisterAnswers,
  type RegisterBits,
  type RegisterDescription,
  type RegisterHandlers,
  type RegisterMap,
  type RegisterOn,
  type Registers,
  type RegistersOn,
  type RegisterValues,
  registerMap,
  type ValueOf,
} from './device/registers.js';
export type { DeviceState, MemoryState } from './device/state.js';
export {
  type ServeOptions,
  serve,
  type VfioUserClient,
  VfioUserServer,
  type VfioUserServerEvents,
  type VfioUserServerStats,
} from './vfio-user/server.js';
