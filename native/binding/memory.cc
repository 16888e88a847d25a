// allocBuffer's memory, as src/memory.ts sees it.
#include "binding/arguments.h"
#include "binding/exports.h"
#include "binding/views.h"

namespace ismio::binding {

// The plain call rather than node-addon-api's: where Node.js refuses a length, it runs the finalizer itself, and the
// wrapper would give the reference back a second time. Where a runtime allows no external buffers at all, it answers
// before it looks at anything, and the reference is still ours.
Napi::Value viewOf(Napi::Env env, const std::shared_ptr<Memory>& memory, NoView& why) {
  const auto letGo = [](napi_env, void*, void* held) { delete static_cast<std::shared_ptr<Memory>*>(held); };
  auto* reference = new std::shared_ptr<Memory>(memory);
  napi_value view = nullptr;
  const napi_status answer =
      napi_create_external_arraybuffer(env, memory->base(), memory->size(), letGo, reference, &view);
  if (answer == napi_ok) return Napi::Value(env, view);
  env.GetAndClearPendingException();
  why = NoView::noMemory;
  if (answer != napi_no_external_buffers_allowed) return {};
  why = NoView::noExternalBuffers;
  delete reference;
  return {};
}

namespace {

// allocate(bytes) -> {buffer, id} | why there is none
Napi::Value allocate(const Napi::CallbackInfo& info) {
  uint64_t bytes = 0;
  NoView why = NoView::noMemory;
  if (!offsetAt(info, 0, bytes) || bytes == 0) return refused(info.Env(), why);
  const std::shared_ptr<Memory> memory = Memory::allocate(bytes);
  if (memory == nullptr) return refused(info.Env(), why);
  const Napi::Value view = viewOf(info.Env(), memory, why);
  if (view.IsEmpty()) return refused(info.Env(), why);
  Napi::Object made = Napi::Object::New(info.Env());
  made.Set("buffer", view);
  made.Set("id", static_cast<double>(memory->id()));
  return made;
}

}  // namespace

void exportMemory(Napi::Env env, Napi::Object exports) { exportFunction<allocate>(env, exports, "allocate"); }

}  // namespace ismio::binding
