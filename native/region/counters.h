// What a region has been asked for. Each thread that uses the region has counters of its own, which only it writes; a
// reader adds them up. So counting costs a plain add and no thread waits for another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "support/counter.h"
#include "support/stages.h"

namespace ismio {

struct Totals {
  uint64_t crossings = 0;    // calls into native code that reached the region or a queue on it
  uint64_t loads = 0;        // load accesses
  uint64_t stores = 0;       // store accesses of 1, 2, 4 or 8 bytes
  uint64_t storeBlocks = 0;  // store blocks
  uint64_t bytes = 0;        // moved by them, in either direction
  uint64_t copies = 0;       // times payload was copied between the caller's memory and an access (plan/payload.h)
  uint64_t merged = 0;       // queued writes joined to the one before them and planned with it
  uint64_t retries = 0;      // accesses tried again because the device was busy
  uint64_t errors = 0;       // accesses that failed
};

// Of the accesses that JavaScript makes without a call: those of 1, 2, 4 and 8 bytes, by turns. It counts them itself,
// in the numbers that it has, which are exact up to 2^53.
struct CountsInPlace {
  static constexpr size_t kWidths = 4;
  std::atomic<double> loads[kWidths]{};
  std::atomic<double> stores[kWidths]{};

  void addTo(uint64_t& allLoads, uint64_t& allStores, uint64_t& bytes) const {
    for (size_t i = 0; i < kWidths; i++) {
      const auto loaded = static_cast<uint64_t>(loads[i].load(std::memory_order_relaxed));
      const auto stored = static_cast<uint64_t>(stores[i].load(std::memory_order_relaxed));
      allLoads += loaded;
      allStores += stored;
      bytes += (loaded + stored) << i;
    }
  }
};
static_assert(sizeof(CountsInPlace) == 2 * CountsInPlace::kWidths * sizeof(double));

// Those that count often share one cache line, and no line has those of two threads.
struct alignas(64) Counters {
  Counter crossings, loads, stores, storeBlocks, bytes, copies, merged, retries, errors;
  StageCounters stages;
  CountsInPlace inPlace;

  // Of calls alone: what is made without one is of no batch.
  void addTo(Totals& totals) const {
    totals.crossings += crossings.get();
    totals.loads += loads.get();
    totals.stores += stores.get();
    totals.storeBlocks += storeBlocks.get();
    totals.bytes += bytes.get();
    totals.copies += copies.get();
    totals.merged += merged.get();
    totals.retries += retries.get();
    totals.errors += errors.get();
  }
};

// The counters of everyone who uses one region. Those of a thread that is done go to the next that comes.
class CounterSet {
 public:
  Counters* take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      Counters* counters = idle_.back();
      idle_.pop_back();
      return counters;
    }
    all_.push_back(std::make_unique<Counters>());
    return all_.back().get();
  }

  void giveBack(Counters* counters) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(counters);
  }

  Totals sum() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    Totals totals;
    for (const auto& counters : all_) {
      counters->addTo(totals);
      counters->inPlace.addTo(totals.loads, totals.stores, totals.bytes);
    }
    return totals;
  }

  // Since they were last forgotten.
  StageTotals stages() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sumOfStages() - forgotten_;
  }

  void forgetStages() {
    const std::lock_guard<std::mutex> lock(mutex_);
    forgotten_ = sumOfStages();
  }

 private:
  StageTotals sumOfStages() const {
    StageTotals totals;
    for (const auto& counters : all_) counters->stages.addTo(totals);
    return totals;
  }

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Counters>> all_;
  std::vector<Counters*> idle_;
  StageTotals forgotten_;
};

}  // namespace ismio
