// The floor that has a ring in shared memory.
#pragma once

#include <napi.h>

namespace ismio::bench {

void addSharedRing(Napi::Env env, Napi::Object exports);

}  // namespace ismio::bench
