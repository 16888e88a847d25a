// The share that each file of this folder has in the addon's export list.
#pragma once

#include <napi.h>

namespace ismio::binding {

void exportRegions(Napi::Env env, Napi::Object exports);
void exportGuard(Napi::Env env, Napi::Object exports);
void exportAccesses(Napi::Env env, Napi::Object exports);
void exportInPlace(Napi::Env env, Napi::Object exports);
void exportShards(Napi::Env env, Napi::Object exports);
void exportQueues(Napi::Env env, Napi::Object exports);
void exportMemory(Napi::Env env, Napi::Object exports);
void exportDescriptors(Napi::Env env, Napi::Object exports);
void exportInfo(Napi::Env env, Napi::Object exports);
Napi::Object layoutOf(Napi::Env env);
void exportSeals(Napi::Env env, Napi::Object exports);
void exportSignals(Napi::Env env, Napi::Object exports);
void exportDevices(Napi::Env env, Napi::Object exports);
void exportIsm(Napi::Env env, Napi::Object exports);
void exportLanes(Napi::Env env, Napi::Object exports);
void exportServers(Napi::Env env, Napi::Object exports);
void exportVfio(Napi::Env env, Napi::Object exports);
void exportConnections(Napi::Env env, Napi::Object exports);
void exportSpace(Napi::Env env, Napi::Object exports);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void exportFunction(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

}  // namespace ismio::binding
