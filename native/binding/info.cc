// What this addon is: its layout, its clock, and the access kernels of this CPU.
#include "binding/environment.h"
#include "binding/exports.h"
#include "insn/mmio.h"
#include "support/pages.h"
#include "support/pause.h"

namespace ismio::binding {
namespace {

// kernels() -> names; burst is null where the CPU has none
Napi::Value names(const Napi::CallbackInfo& info) {
  const Kernels& chosen = kernels();
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("cpu", chosen.cpu);
  told.Set("memory", chosen.memory->name);
  told.Set("mapped", chosen.mapped->name);
  told.Set("resource", chosen.resource->name);
  told.Set("burst", chosen.burst == nullptr ? info.Env().Null()
                                            : Napi::Value(Napi::String::New(info.Env(), chosen.burst->name)));
  return told;
}

// resourceRules() -> {maxStoreBlock, boundary, strict} of a mapped PCI resource
Napi::Value resourceRules(const Napi::CallbackInfo& info) {
  const Rules& rules = kernels().resource->rules;
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("maxStoreBlock", rules.maxStoreBlock);
  told.Set("boundary", rules.boundary);
  told.Set("strict", rules.alignment == Alignment::strict);
  return told;
}

// pagesLeft() -> bytes that the kernel would not take back yet
Napi::Value left(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(pagesLeft()));
}

// now() -> nanoseconds of CLOCK_MONOTONIC: the clock of `began` and `ended` in the answers
Napi::Value now(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), nanosecondsNow()); }

}  // namespace

void exportInfo(Napi::Env env, Napi::Object exports) {
  exports.Set("layout", layoutOf(env));
  exports.Set("answers", Environment::of(env).answers.buffer());
  exportFunction<names>(env, exports, "kernels");
  exportFunction<resourceRules>(env, exports, "resourceRules");
  exportFunction<left>(env, exports, "pagesLeft");
  exportFunction<now>(env, exports, "now");
}

}  // namespace ismio::binding
