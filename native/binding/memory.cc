// allocBuffer's memory, as src/access/memory.ts sees it.
#include <sched.h>

#include <cerrno>

#include "binding/arguments.h"
#include "binding/exports.h"
#include "binding/views.h"
#include "support/crc32c.h"

namespace ismio::binding {

// The plain call rather than node-addon-api's: where Node.js refuses a length, it runs the finalizer itself, and the
// wrapper would give the reference back a second time. Where a runtime allows no external buffers at all, it answers
// before it looks at anything, and the finalizer's id is still ours. The finalizer has the id only, because the memory
// may have been freed by hand before.
Napi::Value viewOf(Napi::Env env, const std::shared_ptr<Memory>& memory, NoView& why) {
  const auto letGo = [](napi_env, void*, void* id) {
    Memory::giveBack(*static_cast<uint64_t*>(id));
    delete static_cast<uint64_t*>(id);
  };
  Memory::lend(memory);
  auto* id = new uint64_t(memory->id());
  napi_value view = nullptr;
  const napi_status answer = napi_create_external_arraybuffer(env, memory->base(), memory->size(), letGo, id, &view);
  if (answer == napi_ok) return Napi::Value(env, view);
  Memory::giveBack(memory->id());
  env.GetAndClearPendingException();
  why = NoView::noMemory;
  if (answer != napi_no_external_buffers_allowed) return {};
  why = NoView::noExternalBuffers;
  delete id;
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

// free(buffer, id) -> whether the buffer could be taken from JavaScript
Napi::Value release(const Napi::CallbackInfo& info) {
  const bool taken = napi_detach_arraybuffer(info.Env(), info[0]) == napi_ok;
  if (taken) Memory::giveBack(static_cast<uint64_t>(numberAt(info, 1)));
  return Napi::Boolean::New(info.Env(), taken);
}

// share(view: Uint8Array over whole pages of a SharedArrayBuffer) -> id, or -errno. V8 counts what is shared for no
// thread; for the one that made it, we do.
Napi::Value share(const Napi::CallbackInfo& info) {
  const Bytes view = bytesAt(info, 0);
  std::shared_ptr<Memory> made;
  const int refused = view.data == nullptr ? EINVAL : Memory::share(view.data, view.length, made);
  if (refused != 0) return Napi::Number::New(info.Env(), -refused);
  int64_t total = 0;
  napi_adjust_external_memory(info.Env(), static_cast<int64_t>(view.length), &total);
  return Napi::Number::New(info.Env(), static_cast<double>(made->id()));
}

// unseen(bytes): the thread that shared so many bytes sees them no more
Napi::Value unseen(const Napi::CallbackInfo& info) {
  int64_t total = 0;
  napi_adjust_external_memory(info.Env(), -static_cast<int64_t>(numberAt(info, 0)), &total);
  Memory::giveBackUnseen();
  return info.Env().Undefined();
}

// sharedAt(view: Uint8Array from the start of a SharedArrayBuffer) -> {id, size} | undefined
Napi::Value sharedAt(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Memory> memory = Memory::at(bytesAt(info, 0).data);
  if (memory == nullptr) return info.Env().Undefined();
  Napi::Object found = Napi::Object::New(info.Env());
  found.Set("id", static_cast<double>(memory->id()));
  found.Set("size", static_cast<double>(memory->size()));
  return found;
}

// copy(target: Uint8Array, source: Uint8Array of the same length)
Napi::Value copy(const Napi::CallbackInfo& info) {
  const Bytes target = bytesAt(info, 0);
  const Bytes source = bytesAt(info, 1);
  if (source.length == target.length) std::copy_n(source.data, source.length, target.data);  // a device's
  return info.Env().Undefined();
}

// crc32c(bytes: Uint8Array, before: number) -> CRC32C of what came before with these behind it
Napi::Value crc32cOf(const Napi::CallbackInfo& info) {
  const Bytes bytes = bytesAt(info, 0);
  return Napi::Number::New(info.Env(), crc32c(wordAt(info, 1), bytes.data, bytes.length));
}

// yieldProcessor(): other threads that are ready to run on this CPU come first
Napi::Value yieldProcessor(const Napi::CallbackInfo& info) {
  sched_yield();  // never fails on Linux, sched_yield(2)
  return info.Env().Undefined();
}

}  // namespace

void exportMemory(Napi::Env env, Napi::Object exports) {
  exportFunction<allocate>(env, exports, "allocate");
  exportFunction<release>(env, exports, "free");
  exportFunction<share>(env, exports, "share");
  exportFunction<unseen>(env, exports, "unseen");
  exportFunction<sharedAt>(env, exports, "sharedAt");
  exportFunction<copy>(env, exports, "copy");
  exportFunction<crc32cOf>(env, exports, "crc32c");
  exportFunction<yieldProcessor>(env, exports, "yieldProcessor");
}

}  // namespace ismio::binding
