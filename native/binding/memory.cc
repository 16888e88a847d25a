// allocBuffer's memory, as src/memory.ts sees it.
#include "binding/environment.h"

namespace ismio::binding {

Napi::ArrayBuffer viewOf(Napi::Env env, const std::shared_ptr<Memory>& memory) {
  auto* reference = new std::shared_ptr<Memory>(memory);
  return Napi::ArrayBuffer::New(
      env, memory->base(), memory->size(),
      [](Napi::BasicEnv, void*, std::shared_ptr<Memory>* held) { delete held; }, reference);
}

namespace {

// allocate(bytes) -> {buffer, id} | undefined
Napi::Value allocate(const Napi::CallbackInfo& info) {
  uint64_t bytes = 0;
  if (!offsetAt(info, 0, bytes) || bytes == 0) return info.Env().Undefined();
  const std::shared_ptr<Memory> memory = Memory::allocate(bytes);
  if (memory == nullptr) return info.Env().Undefined();
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("buffer", viewOf(info.Env(), memory));
  made.Set("id", static_cast<double>(memory->id()));
  return made;
}

}  // namespace

void exportMemory(Napi::Env env, Napi::Object exports) { exportFunction<allocate>(env, exports, "allocate"); }

}  // namespace ismio::binding
