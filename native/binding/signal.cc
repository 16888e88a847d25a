// Signals, as src/vfio/irq.ts sees them.
#include "binding/signal.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "binding/arguments.h"
#include "binding/exports.h"
#include "binding/worker_lookout.h"
#include "support/pause.h"
#include "vfio/kernel.h"

namespace ismio::binding {

Signal::~Signal() { vfio::close(eventfd_); }

void Signal::tell(uint64_t count) const {
  const Napi::Env env = environment_.env;
  callBack(env, told_.Value(), {Napi::Number::New(env, static_cast<double>(count))});
}

namespace {

// signalOpen(told: (count) => void, onThread) -> {signal, eventfd} | errno
Napi::Value signalOpen(const Napi::CallbackInfo& info) {
  Environment& environment = Environment::of(info.Env());
  const vfio::Answer eventfd = vfio::eventfd();
  if (eventfd < 0) return Napi::Number::New(info.Env(), static_cast<double>(-eventfd));
  const auto make = flagAt(info, 1) ? signalOnThread : signalInLoop;
  std::unique_ptr<Signal> made = make(environment, static_cast<int>(eventfd), info[0].As<Napi::Function>());
  Signal* signal = made.get();
  const uint64_t number = environment.handles.add(std::move(made));
  if (const int refused = signal->start(number); refused != 0) {
    environment.handles.take<Signal>(number);
    return Napi::Number::New(info.Env(), refused);
  }
  Napi::Object told = Napi::Object::New(info.Env());
  told.Set("signal", static_cast<double>(number));
  told.Set("eventfd", signal->eventfd());
  return told;
}

// How long a Worker waits without a look whether it was terminated, in milliseconds.
constexpr double kLook = 10;

// signalWait(signal, milliseconds) -> how often it was signalled; 0 when the time is over; -errno
Napi::Value signalWait(const Napi::CallbackInfo& info) {
  const Environment& environment = Environment::of(info.Env());
  const Signal* held = environment.handles.find<Signal>(handleAt(info, 0));
  if (held == nullptr) return Napi::Number::New(info.Env(), -EBADF);
  WorkerLookout lookout(info.Env());
  const double end = nanosecondsNow() + numberAt(info, 1) * 1e6;
  while (true) {
    uint64_t count = 0;
    if (read(held->eventfd(), &count, sizeof count) == sizeof count) {
      return Napi::Number::New(info.Env(), static_cast<double>(count));
    }
    const double left = (end - nanosecondsNow()) / 1e6;
    if (left <= 0 || (environment.ofWorker && lookout.ends())) return Napi::Number::New(info.Env(), 0);
    pollfd waited{held->eventfd(), POLLIN, 0};
    const double slice = environment.ofWorker && left > kLook ? kLook : left;
    const timespec time{static_cast<time_t>(slice / 1e3), static_cast<long>(slice * 1e6) % 1'000'000'000};
    if (ppoll(&waited, 1, &time, nullptr) < 0 && errno != EINTR) return Napi::Number::New(info.Env(), -errno);
  }
}

// signalClose(signal): no call comes after it
Napi::Value signalClose(const Napi::CallbackInfo& info) {
  Environment::of(info.Env()).handles.take<Signal>(handleAt(info, 0));
  return info.Env().Undefined();
}

// signalKeepAlive(signal, on)
Napi::Value signalKeepAlive(const Napi::CallbackInfo& info) {
  Signal* held = Environment::of(info.Env()).handles.find<Signal>(handleAt(info, 0));
  if (held != nullptr) held->keepAlive(flagAt(info, 1));
  return info.Env().Undefined();
}

}  // namespace

void exportSignals(Napi::Env env, Napi::Object exports) {
  exportFunction<signalOpen>(env, exports, "signalOpen");
  exportFunction<signalWait>(env, exports, "signalWait");
  exportFunction<signalClose>(env, exports, "signalClose");
  exportFunction<signalKeepAlive>(env, exports, "signalKeepAlive");
}

}  // namespace ismio::binding
