// Signals in the event loop of libuv: a poll handle each.
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "binding/signal.h"

namespace ismio::binding {
namespace {

class PolledSignal;

// The loop lets go of a handle only when it turns; the environment waits for that, and the signal need not.
struct Poll {
  uv_poll_t handle;
  PolledSignal* signal;
  napi_async_cleanup_hook_handle wait = nullptr;
};

class PolledSignal final : public Signal {
 public:
  using Signal::Signal;

  ~PolledSignal() override {
    if (poll_ == nullptr) return;
    poll_->signal = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_->handle), onClosed);
  }

  int start(uint64_t) override {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(environment_.env, &loop) != napi_ok) return ENOSYS;
    auto poll = std::make_unique<Poll>();
    if (const int refused = uv_poll_init(loop, &poll->handle, eventfd_); refused != 0) return -refused;
    poll_ = poll.release();
    poll_->signal = this;
    poll_->handle.data = poll_;
    // The environment has let go of the signal by then; what is waited for is `onClosed`.
    const auto nothing = [](napi_async_cleanup_hook_handle, void*) {};
    napi_add_async_cleanup_hook(environment_.env, nothing, nullptr, &poll_->wait);
    return -uv_poll_start(&poll_->handle, UV_READABLE, onReadable);
  }

  void keepAlive(bool on) override {
    auto* handle = reinterpret_cast<uv_handle_t*>(&poll_->handle);
    on ? uv_ref(handle) : uv_unref(handle);
  }

 private:
  static void onReadable(uv_poll_t* handle, int, int) {
    const PolledSignal* signal = static_cast<Poll*>(handle->data)->signal;
    uint64_t count = 0;
    if (signal == nullptr || read(signal->eventfd_, &count, sizeof count) != sizeof count) return;
    const Napi::HandleScope scope(signal->environment_.env);
    signal->tell(count);
  }

  static void onClosed(uv_handle_t* handle) {
    const std::unique_ptr<Poll> poll(static_cast<Poll*>(handle->data));
    if (poll->wait != nullptr) napi_remove_async_cleanup_hook(poll->wait);
  }

  Poll* poll_ = nullptr;
};

}  // namespace

std::unique_ptr<Signal> signalInLoop(Environment& environment, int eventfd, Napi::Function told) {
  return std::make_unique<PolledSignal>(environment, eventfd, told);
}

}  // namespace ismio::binding
