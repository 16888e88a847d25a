// Eventfds whose signals are told to JavaScript: what is signalled is read at once, so the kernel's counter never runs
// full, and told as a count. Two ways: `poll.cc` in the event loop, `watcher.cc` where a runtime's event loop has no
// place for it.
#pragma once

#include <napi.h>

#include <memory>

#include "binding/environment.h"

namespace ismio::binding {

class Signal : public Held {
 public:
  static constexpr HandleKind kKind = HandleKind::signal;

  // Owns the eventfd.
  Signal(Environment& environment, int eventfd, Napi::Function told)
      : environment_(environment), eventfd_(eventfd), told_(Napi::Persistent(told)) {}
  ~Signal() override;

  // From here on it is listened to, and keeps the process running. `number`: of this signal. 0 or an errno.
  virtual int start(uint64_t number) = 0;
  // Whether waiting for it keeps the process running.
  virtual void keepAlive(bool on) = 0;

  int eventfd() const { return eventfd_; }
  // On the JavaScript thread. The signal may have gone when it returns.
  void tell(uint64_t count) const;

 protected:
  Environment& environment_;
  const int eventfd_;

 private:
  Napi::FunctionReference told_;
};

// No thread stands between the signal and the handler.
std::unique_ptr<Signal> signalInLoop(Environment& environment, int eventfd, Napi::Function told);
// A thread of this addon's own waits for all signals of an environment.
std::unique_ptr<Signal> signalOnThread(Environment& environment, int eventfd, Napi::Function told);

}  // namespace ismio::binding
