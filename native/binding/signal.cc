// Eventfds in the event loop: what is signalled is read at once, so the kernel's counter never runs full, and told to
// JavaScript as a count. One poll handle of libuv each: no thread of its own stands between the signal and the handler.
#include <cerrno>
#include <unistd.h>
#include <uv.h>

#include "binding/environment.h"
#include "vfio/kernel.h"

namespace ismio::binding {

// Lives until the loop has let go of its handle. Closed by `close`, or by the environment when that ends first.
class Signal {
 public:
  static Signal* open(Napi::Env env, Napi::Function told, int& errorNumber) {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return refused(errorNumber, ENOSYS);
    const vfio::Answer eventfd = vfio::eventfd();
    if (eventfd < 0) return refused(errorNumber, static_cast<int>(-eventfd));
    auto* signal = new Signal(env, told, static_cast<int>(eventfd));
    int status = uv_poll_init(loop, &signal->poll_, signal->eventfd_);
    if (status != 0) {
      vfio::close(signal->eventfd_);
      delete signal;
      return refused(errorNumber, -status);
    }
    signal->poll_.data = signal;
    napi_add_async_cleanup_hook(env, ended, signal, &signal->cleanup_);
    status = uv_poll_start(&signal->poll_, UV_READABLE, onSignalled);
    if (status == 0) return signal;
    signal->close();
    return refused(errorNumber, -status);
  }

  void close() {
    if (closing_) return;
    closing_ = true;
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), onClosed);
  }

  void keepAlive(bool on) {
    auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
    on ? uv_ref(handle) : uv_unref(handle);
  }

  int eventfd() const { return eventfd_; }

 private:
  Signal(Napi::Env env, Napi::Function told, int eventfd)
      : env_(env), told_(Napi::Persistent(told)), eventfd_(eventfd) {}

  static Signal* refused(int& errorNumber, int number) {
    errorNumber = number;
    return nullptr;
  }

  static void onSignalled(uv_poll_t* poll, int, int) { static_cast<Signal*>(poll->data)->tell(); }

  void tell() {
    uint64_t count = 0;
    if (read(eventfd_, &count, sizeof count) != sizeof count || closing_) return;
    const Napi::HandleScope scope(env_);
    told_.MakeCallback(env_.Global(), {Napi::Number::New(env_, static_cast<double>(count))});
    tellUncaught(env_);
  }

  static void ended(napi_async_cleanup_hook_handle, void* signal) { static_cast<Signal*>(signal)->close(); }

  static void onClosed(uv_handle_t* handle) {
    auto* signal = static_cast<Signal*>(handle->data);
    vfio::close(signal->eventfd_);
    napi_remove_async_cleanup_hook(signal->cleanup_);
    delete signal;
  }

  const Napi::Env env_;
  Napi::FunctionReference told_;
  const int eventfd_;
  uv_poll_t poll_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool closing_ = false;
};

namespace {

// signalOpen(told: (count) => void) -> {signal, eventfd} | errno
Napi::Value signalOpen(const Napi::CallbackInfo& info) {
  int errorNumber = 0;
  Signal* signal = Signal::open(info.Env(), info[0].As<Napi::Function>(), errorNumber);
  if (signal == nullptr) return Napi::Number::New(info.Env(), errorNumber);
  Napi::Object made = Napi::Object::New(info.Env());
  const uint32_t number = Environment::of(info.Env()).signals.add(std::make_unique<HeldSignal>(HeldSignal{signal}));
  made.Set("signal", number);
  made.Set("eventfd", signal->eventfd());
  return made;
}

// signalClose(signal): no call comes after it
Napi::Value signalClose(const Napi::CallbackInfo& info) {
  const auto held = Environment::of(info.Env()).signals.remove(wordAt(info, 0));
  if (held != nullptr) held->signal->close();
  return info.Env().Undefined();
}

// signalKeepAlive(signal, on): whether waiting for it keeps the process running
Napi::Value signalKeepAlive(const Napi::CallbackInfo& info) {
  HeldSignal* held = Environment::of(info.Env()).signals.find(wordAt(info, 0));
  if (held != nullptr) held->signal->keepAlive(flagAt(info, 1));
  return info.Env().Undefined();
}

}  // namespace

void exportSignals(Napi::Env env, Napi::Object exports) {
  exportFunction<signalOpen>(env, exports, "signalOpen");
  exportFunction<signalClose>(env, exports, "signalClose");
  exportFunction<signalKeepAlive>(env, exports, "signalKeepAlive");
}

}  // namespace ismio::binding
