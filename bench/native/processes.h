// The floors that have two processes.
#pragma once

#include <napi.h>

namespace ismio::bench {

void addProcesses(Napi::Env env, Napi::Object exports);

}  // namespace ismio::bench
