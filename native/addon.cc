// The addon: one Environment for each JavaScript thread that loads it, and the export list.
#include <napi.h>

#include "binding/environment.h"
#include "binding/exports.h"

namespace {

Napi::Object start(Napi::Env env, Napi::Object exports) {
  auto* environment = new ismio::binding::Environment(env);
  env.SetInstanceData(environment);
  if (!environment->ready()) return exports;
  ismio::binding::exportInfo(env, exports);
  ismio::binding::exportMemory(env, exports);
  ismio::binding::exportDescriptors(env, exports);
  ismio::binding::exportRegions(env, exports);
  ismio::binding::exportGuard(env, exports);
  ismio::binding::exportAccesses(env, exports);
  ismio::binding::exportInPlace(env, exports);
  ismio::binding::exportShards(env, exports);
  ismio::binding::exportQueues(env, exports);
  ismio::binding::exportSeals(env, exports);
  ismio::binding::exportSignals(env, exports);
  ismio::binding::exportDevices(env, exports);
  ismio::binding::exportIsm(env, exports);
  ismio::binding::exportLanes(env, exports);
  ismio::binding::exportServers(env, exports);
  ismio::binding::exportVfio(env, exports);
  ismio::binding::exportConnections(env, exports);
  ismio::binding::exportSpace(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(ismio, start)
