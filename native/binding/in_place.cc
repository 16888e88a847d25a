// What of a region JavaScript touches without a call, as src/region/in-place.ts does: ArrayBuffers over the mapping,
// over what has to be looked at before and after an access, and over the counts that it keeps.
//
// The region is held while its handle is, and nobody can touch these buffers any longer: src/ takes them back before it
// closes the region, and a region that was collected took them along.
#include <bit>

#include "binding/exports.h"
#include "binding/held_region.h"

namespace ismio::binding {
namespace {

// V8 counts a buffer as memory of its own until it was detached or collected, and collects when that has grown by 64
// MiB. (To take it out of the count is not allowed: newer ones end the process when it falls below zero.) The rest of a
// longer region is accessed by calls.
constexpr uint64_t kLongest = 8 << 20;

// Null where the runtime allows none.
napi_value over(napi_env env, const void* bytes, size_t length) {
  const auto letGo = [](napi_env, void*, void*) {};
  napi_value buffer = nullptr;
  // JavaScript writes to those only that are there to be written to.
  void* shown = const_cast<void*>(bytes);
  if (napi_create_external_arraybuffer(env, shown, length, letGo, nullptr, &buffer) == napi_ok) return buffer;
  Napi::Env(env).GetAndClearPendingException();
  return nullptr;
}

// The byte that is 0 only where all of the word is; see backend.h.
const uint8_t* lowestByte(const std::atomic<uint64_t>& word) {
  return reinterpret_cast<const uint8_t*>(&word) + (std::endian::native == std::endian::big ? sizeof word - 1 : 0);
}

// inPlace(region) -> {words, raised, lost, counts, device, stores} | undefined
Napi::Value inPlace(const Napi::CallbackInfo& info) {
  HeldRegion* held = regionAt(info);
  if (held == nullptr) return info.Env().Undefined();
  const Region& region = held->attachment.region();
  const InPlace offered = region.backend().inPlace();
  if (offered.length == 0) return info.Env().Undefined();
  const uint64_t length = least(offered.length, kLongest);
  const CountsInPlace& counts = held->attachment.counters().inPlace;
  napi_value words = over(info.Env(), offered.base, length);
  napi_value raised = over(info.Env(), &region.raised(), sizeof region.raised());
  napi_value lost = over(info.Env(), lowestByte(*offered.lost), 1);
  napi_value counted = over(info.Env(), &counts, sizeof counts);
  if (words == nullptr || raised == nullptr || lost == nullptr || counted == nullptr) return info.Env().Undefined();
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("words", Napi::Value(info.Env(), words));
  told.Set("raised", Napi::Value(info.Env(), raised));
  told.Set("lost", Napi::Value(info.Env(), lost));
  told.Set("counts", Napi::Value(info.Env(), counted));
  told.Set("device", offered.device);
  told.Set("stores", !offered.device && region.traits().writable && region.traits().rules.singleStores);
  return told;
}

// counted(region) -> {raised, counts} | undefined
Napi::Value counted(const Napi::CallbackInfo& info) {
  HeldRegion* held = regionAt(info);
  if (held == nullptr) return info.Env().Undefined();
  const CountsInPlace& counts = held->attachment.counters().inPlace;
  const Region& region = held->attachment.region();
  napi_value raised = over(info.Env(), &region.raised(), sizeof region.raised());
  napi_value counted = over(info.Env(), &counts, sizeof counts);
  if (raised == nullptr || counted == nullptr) return info.Env().Undefined();
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("raised", Napi::Value(info.Env(), raised));
  told.Set("counts", Napi::Value(info.Env(), counted));
  return told;
}

// takeBack(buffer, ..): nobody sees anything through these any more
Napi::Value takeBack(const Napi::CallbackInfo& info) {
  for (size_t i = 0; i < info.Length(); i++) napi_detach_arraybuffer(info.Env(), info[i]);
  return info.Env().Undefined();
}

}  // namespace

void exportInPlace(Napi::Env env, Napi::Object exports) {
  exportFunction<inPlace>(env, exports, "inPlace");
  exportFunction<counted>(env, exports, "counted");
  exportFunction<takeBack>(env, exports, "takeBack");
}

}  // namespace ismio::binding
