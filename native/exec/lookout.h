// Work that a thread does itself keeps it from noticing that it is to end. A lookout asks, between two accesses, on
// behalf of that work.
//
//     look at the clock    before the 8th access; then behind 8, 16, 32 more, at last behind every 64
//     ask                  where a millisecond has passed since the first look, or the last question; then from 1 again
//
// So accesses of a millisecond are asked about one by one, those of some nanoseconds pay for a count, and short work,
// which ends before anybody could wait for it, never looks.
#pragma once

#include <atomic>
#include <cstdint>

namespace ismio {

// For one piece of work, on the stack of the thread that does it.
class Lookout {
 public:
  // `stop` is how other threads stop the work; null where none can.
  explicit Lookout(const std::atomic<uint32_t>* stop = nullptr) : stop_(stop) {}
  Lookout(const Lookout&) = delete;
  Lookout& operator=(const Lookout&) = delete;
  virtual ~Lookout() = default;

  // In place of the flag by which other threads stop work: always raised, so that whoever looks at it comes here.
  const std::atomic<uint32_t>& flag() const { return flag_; }

  // Before an access: whether it and everything after it is called off. Asked again, it says so again.
  bool calledOff() {
    if (stop_ != nullptr && stop_->load(std::memory_order_relaxed) != 0) return true;
    if (--left_ != 0) [[likely]]
      return false;
    return look();
  }

 protected:
  virtual bool threadEnds() = 0;

 private:
  bool look();

  const std::atomic<uint32_t>* const stop_;
  const std::atomic<uint32_t> flag_{1};
  double asked_ = 0;  // or first looked; nanoseconds of CLOCK_MONOTONIC
  uint32_t stride_ = 4;
  uint32_t left_ = 8;  // looks of the issuer until the next one at the clock
};

// How work is stopped between two accesses: a flag that another thread raises, or a lookout.
struct Stop {
  explicit Stop(const std::atomic<uint32_t>& raised) : flag(&raised) {}
  explicit Stop(Lookout& asked) : flag(&asked.flag()), lookout(&asked) {}

  const std::atomic<uint32_t>* flag;
  Lookout* lookout = nullptr;
};

}  // namespace ismio
