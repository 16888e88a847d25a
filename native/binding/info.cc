// What this addon is: the shared layout, to be compared with src/wire.ts, and the access kernels of this CPU.
#include "binding/environment.h"
#include "binding/exports.h"
#include "insn/mmio.h"
#include "support/pages.h"
#include "support/pause.h"

namespace ismio::binding {
namespace {

template <class Number>
void tell(Napi::Object table, const char* name, Number number) {
  table.Set(name, static_cast<double>(number));
}

Napi::Object layout(Napi::Env env) {
  using wire::Entry;
  Napi::Object table = Napi::Object::New(env);
  tell(table, "version", wire::kVersion);
  tell(table, "headerBytes", sizeof(wire::Header));
  tell(table, "headerCopied", offsetof(wire::Header, copied));
  tell(table, "headerTimed", offsetof(wire::Header, timed));
  tell(table, "headerObserved", offsetof(wire::Header, observed));
  tell(table, "entryBytes", sizeof(Entry));
  tell(table, "entryOffset", offsetof(Entry, offset));
  tell(table, "entryLow", offsetof(Entry, value.low));
  tell(table, "entryHigh", offsetof(Entry, value.high));
  tell(table, "entryPosition", offsetof(Entry, position));
  tell(table, "entryOpcode", offsetof(Entry, opcode));
  tell(table, "entrySource", offsetof(Entry, source));
  tell(table, "entryLength", offsetof(Entry, length));
  tell(table, "outcomeBytes", sizeof(wire::Outcome));
  tell(table, "outcomeOffset", offsetof(wire::Outcome, offset));
  tell(table, "outcomeLength", offsetof(wire::Outcome, length));
  tell(table, "outcomeDone", offsetof(wire::Outcome, done));
  tell(table, "outcomeOpcode", offsetof(wire::Outcome, opcode));
  tell(table, "outcomeState", offsetof(wire::Outcome, state));
  tell(table, "opStore", wire::Opcode::store);
  tell(table, "opWrite", wire::Opcode::write);
  tell(table, "opLoad", wire::Opcode::load);
  tell(table, "opFence", wire::Opcode::fence);
  tell(table, "stateDone", wire::State::done);
  tell(table, "statePartial", wire::State::partial);
  tell(table, "stateFailed", wire::State::failed);
  tell(table, "stateSkipped", wire::State::skipped);
  tell(table, "fields", wire::kFields);
  tell(table, "fieldIndex", wire::kIndex);
  tell(table, "fieldOperations", wire::kOperations);
  tell(table, "statuses", static_cast<uint32_t>(Status::noMemory) + 1);
  tell(table, "rules", static_cast<uint32_t>(Rule::singleStores) + 1);
  tell(table, "losses", static_cast<uint32_t>(Loss::memoryError) + 1);
  tell(table, "fences", kFences);
  tell(table, "stages", kStages);
  tell(table, "largestDepth", wire::kLargestDepth);
  tell(table, "largestBoundary", kLargestBoundary);
  tell(table, "largestStoreBlock", kLargestStoreBlock);
  tell(table, "busyTries", kBusyTries);
  return table;
}

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
  exports.Set("layout", layout(env));
  exports.Set("answers", Environment::of(env).answers.buffer());
  exportFunction<names>(env, exports, "kernels");
  exportFunction<resourceRules>(env, exports, "resourceRules");
  exportFunction<left>(env, exports, "pagesLeft");
  exportFunction<now>(env, exports, "now");
}

}  // namespace ismio::binding
