// A queue and the way back from its drain thread to JavaScript.
//
// The order of taking down matters. A thread-safe function may be gone as soon as Node.js tears the thread's
// environment down, and the drain thread must not call it then. Cleanup hooks run last in, first out; ours is added
// after the function was made, so it runs before, and joins the thread.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "exec/queue.h"

namespace ismio::binding {

class HeldQueue {
 public:
  // `settled(ticket)` is called on the JavaScript thread when a batch has ended, its report in the answers.
  HeldQueue(Napi::Env env, std::unique_ptr<Queue> queue, Napi::Function settled);
  ~HeldQueue();
  HeldQueue(const HeldQueue&) = delete;
  HeldQueue& operator=(const HeldQueue&) = delete;

  Queue& queue() const { return *queue_; }
  Report submit(uint32_t from, uint32_t to);
  void drain(uint32_t from, uint32_t to, uint32_t ticket, bool stopped);
  // The caller has what the last report said.
  void completed() { queue_->completed(std::exchange(lastTick_, 0)); }
  // What became of the operations of the batch of the last report, once; null where there is nothing to tell.
  std::shared_ptr<Memory> takeOutcomes() { return std::move(outcomes_); }

 private:
  struct Settlement;
  void reported(const Report& report) {
    outcomes_ = report.outcomes;
    lastTick_ = report.lastTick;
  }
  static void onSettled(napi_env env, napi_value callback, void* context, void* data);
  static void onTeardown(void* held);

  const napi_env env_;
  std::unique_ptr<Queue> queue_;
  napi_threadsafe_function back_ = nullptr;
  uint32_t inFlight_ = 0;
  std::shared_ptr<Memory> outcomes_;
  uint64_t lastTick_ = 0;  // when the batch of the last report had been executed, where stages are timed
};

}  // namespace ismio::binding
