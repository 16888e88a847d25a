// Memory of the engine as JavaScript sees it.
#pragma once

#include <napi.h>

#include <memory>

#include "memory/memory.h"

namespace ismio::binding {

// Why there is no view. Shared with src/addon/binding.ts by value.
enum class NoView : uint8_t {
  none = 0,
  noMemory = 1,           // nobody has any left, or it is longer than an ArrayBuffer may be
  noExternalBuffers = 2,  // this runtime allows no ArrayBuffer over memory that is not its own, as Electron's does
};

// An ArrayBuffer over this memory, which lives at least as long. Empty, and `why` set, when the runtime refuses.
Napi::Value viewOf(Napi::Env env, const std::shared_ptr<Memory>& memory, NoView& why);

inline Napi::Value refused(Napi::Env env, NoView why) { return Napi::Number::New(env, static_cast<uint32_t>(why)); }

}  // namespace ismio::binding
