// The guard of mapped regions and the first thread of the process, as src/region/guard.ts sees them. Only there can
// JavaScript listen for signals, and so take SIGBUS from the guard.
#include "backend/mapped/guard.h"

#include <memory>

#include "binding/environment.h"
#include "binding/exports.h"

namespace ismio::binding {
namespace {

struct Guarded final : Message {
  void arrive(Environment& environment) override {
    if (!environment.guarded.IsEmpty()) callFromMessage(environment.env, environment.guarded.Value(), {});
  }
};

// guardAgain() -> errno | 0: in front of whoever took SIGBUS since a mapped region was opened
Napi::Value guardAgain(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), Guard::again()); }

// whenGuarded(callback): called on this thread, the first one, when another has opened a mapped region
Napi::Value whenGuarded(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).guarded = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

// tellGuarded(): has the callback of the first thread called, if it has one
Napi::Value tellGuarded(const Napi::CallbackInfo& info) {
  Environment::sendToFirst(std::make_unique<Guarded>());
  return info.Env().Undefined();
}

}  // namespace

void exportGuard(Napi::Env env, Napi::Object exports) {
  exportFunction<guardAgain>(env, exports, "guardAgain");
  exportFunction<whenGuarded>(env, exports, "whenGuarded");
  exportFunction<tellGuarded>(env, exports, "tellGuarded");
}

}  // namespace ismio::binding
