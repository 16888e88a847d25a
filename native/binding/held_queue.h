// A queue as a JavaScript thread holds it.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "binding/environment.h"
#include "exec/queue.h"

namespace ismio::binding {

class HeldQueue final : public Held {
 public:
  static constexpr HandleKind kKind = HandleKind::queue;

  // `settled(ticket)` is called on the JavaScript thread when a batch has ended, its report in the answers.
  HeldQueue(Environment& environment, std::unique_ptr<Queue> queue, Napi::Function settled)
      : environment_(environment), queue_(std::move(queue)), settled_(Napi::Persistent(settled)) {}
  ~HeldQueue() override;

  Queue& queue() const { return *queue_; }
  Report submit(uint32_t from, uint32_t to);
  // `number`: of this queue, by which a batch that has ended finds it.
  void drain(uint64_t number, uint32_t from, uint32_t to, uint32_t ticket, bool stopped);
  // The caller has what the last report said.
  void completed() { queue_->completed(std::exchange(lastTick_, 0)); }
  // What became of the operations of the batch of the last report, once; null where there is nothing to tell.
  std::shared_ptr<Memory> takeOutcomes() { return std::move(outcomes_); }

 private:
  class Settlement;
  void settle(uint32_t ticket, const Report& report);
  void reported(const Report& report) {
    outcomes_ = report.outcomes;
    lastTick_ = report.lastTick;
  }

  Environment& environment_;
  std::unique_ptr<Queue> queue_;
  Napi::FunctionReference settled_;
  uint32_t inFlight_ = 0;
  std::shared_ptr<Memory> outcomes_;
  uint64_t lastTick_ = 0;  // when the batch of the last report had been executed, where stages are timed
};

}  // namespace ismio::binding
