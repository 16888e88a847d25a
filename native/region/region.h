// A region: a window of bytes behind one backend. Shared by every thread of the process that uses it, found by its id,
// alive until the last of them lets go.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "region/counters.h"

namespace ismio {

struct RegionTraits {
  uint64_t size;
  Rules rules;
  Kind kind;
  bool writable;
  std::string name;
  std::string access;  // the access kernel, for people
};

class Region {
 public:
  static std::shared_ptr<Region> create(RegionTraits traits, std::unique_ptr<Backend> backend);
  static std::shared_ptr<Region> find(uint64_t id);
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  uint64_t id() const { return id_; }
  const RegionTraits& traits() const { return traits_; }
  Backend& backend() const { return *backend_; }
  CounterSet& counters() const { return *counters_; }
  // For whoever wants to know what was asked of the region when it has gone.
  const std::shared_ptr<CounterSet>& sharedCounters() const { return counters_; }

  bool contains(uint64_t offset, uint64_t length) const {
    return offset <= traits_.size && length <= traits_.size - offset;
  }

  // Closing is a flag that every thread sees at its next access; the memory goes when they have all let go.
  void close() { raised_.fetch_or(kClosed, std::memory_order_relaxed); }
  bool closed() const { return (raised_.load(std::memory_order_relaxed) & kClosed) != 0; }

  // The memory behind it has gone, for this reason: from now on every thread is told so before an access. The first
  // reason stays.
  void lose(Loss why) {
    Loss none = Loss::unknown;
    loss_.compare_exchange_strong(none, why, std::memory_order_relaxed);
    raised_.fetch_or(kLost, std::memory_order_relaxed);
  }
  bool lost() const { return (raised_.load(std::memory_order_relaxed) & kLost) != 0; }
  Loss loss() const { return loss_.load(std::memory_order_relaxed); }

  // Whether the stages of accesses are timed. Seen by each thread at its next access or batch.
  bool timed() const { return (raised_.load(std::memory_order_relaxed) & kTimed) != 0; }
  // From here on; what was timed before is forgotten.
  void timeStages(bool on);
  // Open, not lost, and no stages timed: all in one look, because every access takes it.
  bool ordinary() const { return raised_.load(std::memory_order_relaxed) == 0; }
  // What `ordinary` looks at: 0 where it is.
  const std::atomic<uint8_t>& raised() const { return raised_; }

 private:
  Region(RegionTraits traits, std::unique_ptr<Backend> backend)
      : traits_(std::move(traits)), backend_(std::move(backend)) {}

  const RegionTraits traits_;
  const std::unique_ptr<Backend> backend_;
  const std::shared_ptr<CounterSet> counters_ = std::make_shared<CounterSet>();
  static constexpr uint8_t kClosed = 1;
  static constexpr uint8_t kTimed = 2;
  static constexpr uint8_t kLost = 4;
  std::atomic<uint8_t> raised_{0};
  std::atomic<Loss> loss_{Loss::unknown};
  uint64_t id_ = 0;
};

// One thread's hold on a region, with its counters.
class Attachment {
 public:
  explicit Attachment(std::shared_ptr<Region> region)
      : region_(std::move(region)), counters_(region_->counters().take()) {}
  ~Attachment() { region_->counters().giveBack(counters_); }
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  Region& region() const { return *region_; }
  const std::shared_ptr<Region>& shared() const { return region_; }
  Counters& counters() const { return *counters_; }
  // Null while stages are not timed.
  StageClock* clock() const { return region_->timed() ? &clock_ : nullptr; }

 private:
  const std::shared_ptr<Region> region_;
  Counters* const counters_;
  mutable StageClock clock_{counters_->stages};
};

}  // namespace ismio
