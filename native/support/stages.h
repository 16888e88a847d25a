// Where the time goes, stage by stage. One thread is in one stage at a time; to enter another is one stamp, which ends
// the one before:
//
//     merge      |--|        |---|         |-|     looking at queued operations, deciding what is joined
//     copy          |-|                            into the gather buffer
//     plan            |---|      |-|     |-|       cutting a write or read into accesses
//     device              |-|      |-----|         the accesses, and the waiting while the device is busy
//               stamps:  ^  ^ ^   ^ ^   ^ ^     ^ ^
//
// Before them comes `enqueue` and after them `completion`: the caller's side (exec/queue.h), which has no stages of its
// own. Stamps are taken for runs, not for each word of a run. Nobody who does not ask for it takes any: code has a
// pointer to a clock that is null then.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "support/counter.h"
#include "support/ticks.h"

namespace ismio {

// Shared with src/addon/wire.ts by value.
enum class Stage : uint8_t { enqueue, merge, plan, copy, device, completion, none };
inline constexpr size_t kStages = static_cast<size_t>(Stage::none);

// In ticks.
struct StageTotals {
  std::array<uint64_t, kStages> spent{};
  uint64_t stamps = 0;  // how many were taken

  StageTotals operator-(const StageTotals& earlier) const {
    StageTotals since = *this;
    for (size_t stage = 0; stage < kStages; stage++) since.spent[stage] -= earlier.spent[stage];
    since.stamps -= earlier.stamps;
    return since;
  }
};

// Of one thread.
struct StageCounters {
  std::array<Counter, kStages + 1> spent;  // the last is the time in no stage, which nobody asks for
  Counter stamps;

  void add(Stage stage, uint64_t ticks) {
    spent[static_cast<size_t>(stage)].add(ticks);
    stamps.add(1);
  }
  void addTo(StageTotals& totals) const {
    for (size_t stage = 0; stage < kStages; stage++) totals.spent[stage] += spent[stage].get();
    totals.stamps += stamps.get();
  }
};

class StageClock {
 public:
  explicit StageClock(StageCounters& counters) : counters_(counters) {}

  // Enters a stage; the one that was left. Not inlined: code that is not timed should not grow by it.
  [[gnu::noinline]] Stage to(Stage next) {
    const uint64_t now = ticks();
    if (current_ != Stage::none) counters_.spent[static_cast<size_t>(current_)].add(ticksBetween(since_, now));
    counters_.stamps.add(1);
    since_ = now;
    return std::exchange(current_, next);
  }

 private:
  StageCounters& counters_;
  uint64_t since_ = 0;
  Stage current_ = Stage::none;
};

// A part of the code that is in a stage, unless a part within it is in another. Without a clock it is nothing.
class StageScope {
 public:
  StageScope(StageClock* clock, Stage stage) : clock_(clock) {
    if (clock_ != nullptr) [[unlikely]]
      before_ = clock_->to(stage);
  }
  ~StageScope() {
    if (clock_ != nullptr) [[unlikely]]
      clock_->to(before_);
  }
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;

 private:
  StageClock* const clock_;
  Stage before_ = Stage::none;
};

// The same where even a scope that is nothing would be felt: the ordinary way has one branch, the timed one is apart.
template <class Work>
[[gnu::noinline, gnu::cold]] auto timedIn(StageClock* clock, Stage stage, Work&& work) {
  const StageScope scope(clock, stage);
  return work();
}

// What a stamp costs, in ticks: the best of some runs of many.
inline double ticksPerStamp() {
  static const double measured = [] {
    constexpr int kStamps = 1000;
    StageCounters counters;
    StageClock clock(counters);
    uint64_t best = UINT64_MAX;
    for (int run = 0; run < 5; run++) {
      const uint64_t began = ticks();
      for (int i = 0; i < kStamps; i++) clock.to(Stage::device);
      const uint64_t took = ticksBetween(began, ticks());
      best = took < best ? took : best;
    }
    return static_cast<double>(best) / kStamps;
  }();
  return measured;
}

}  // namespace ismio
