// allocBuffer's memory, as src/memory.ts sees it.
#include "binding/environment.h"

namespace ismio::binding {

// The plain call rather than node-addon-api's: where Node.js refuses (too large), it runs the finalizer itself, and the
// wrapper would give the reference back a second time.
Napi::Value viewOf(Napi::Env env, const std::shared_ptr<Memory>& memory) {
  const auto letGo = [](napi_env, void*, void* held) { delete static_cast<std::shared_ptr<Memory>*>(held); };
  auto* reference = new std::shared_ptr<Memory>(memory);
  napi_value view = nullptr;
  if (napi_create_external_arraybuffer(env, memory->base(), memory->size(), letGo, reference, &view) == napi_ok) {
    return Napi::Value(env, view);
  }
  env.GetAndClearPendingException();
  return {};
}

namespace {

// allocate(bytes) -> {buffer, id} | undefined
Napi::Value allocate(const Napi::CallbackInfo& info) {
  uint64_t bytes = 0;
  if (!offsetAt(info, 0, bytes) || bytes == 0) return info.Env().Undefined();
  const std::shared_ptr<Memory> memory = Memory::allocate(bytes);
  if (memory == nullptr) return info.Env().Undefined();
  const Napi::Value view = viewOf(info.Env(), memory);
  if (view.IsEmpty()) return info.Env().Undefined();
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("buffer", view);
  made.Set("id", static_cast<double>(memory->id()));
  return made;
}

}  // namespace

void exportMemory(Napi::Env env, Napi::Object exports) { exportFunction<allocate>(env, exports, "allocate"); }

}  // namespace ismio::binding
