// A device as the JavaScript thread holds it that defined it.
#pragma once

#include <memory>
#include <utility>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "device/function.h"

namespace ismio::binding {

struct HeldFunction final : Held {
  static constexpr HandleKind kKind = HandleKind::function;
  explicit HeldFunction(std::shared_ptr<device::Function> made) : function(std::move(made)) {}
  const std::shared_ptr<device::Function> function;
};

// What takes the stores to a BAR, before there is a device that has it.
struct HeldEngine : Held {
  static constexpr HandleKind kKind = HandleKind::engine;
  explicit HeldEngine(std::shared_ptr<device::Engine> made) : engine(std::move(made)) {}
  const std::shared_ptr<device::Engine> engine;
};

// The device that is argument `index`; null where there is none.
inline std::shared_ptr<device::Function> functionAt(const Napi::CallbackInfo& info, size_t index) {
  const auto* held = Environment::of(info.Env()).handles.find<HeldFunction>(handleAt(info, index));
  return held == nullptr ? nullptr : held->function;
}

}  // namespace ismio::binding
