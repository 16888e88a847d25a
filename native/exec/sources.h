// Where the bytes of writes come from and those of loads go to, by slot: the queue's own staging memory in slot 0, and
// buffers that are read in place, each held as long as an operation uses it.
//
// Slots are given out and taken back on the thread that queues. The one that executes looks only at those that the
// entries of its batch name, which were given out before the batch was handed over and are taken back after it has
// ended. So nothing is locked, and no slot moves.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "memory/memory.h"
#include "wire/wire.h"

namespace ismio {

class Sources {
 public:
  // As many buffers as a queue of this depth can use at once: one for each operation.
  Sources(std::shared_ptr<Memory> staging, uint32_t depth) : depth_(depth) {
    few_[wire::kStaging] = std::move(staging);
  }
  Sources(const Sources&) = delete;
  Sources& operator=(const Sources&) = delete;

  // Null where nothing is held.
  const Memory* at(uint32_t slot) const {
    if (slot < kFew) [[likely]]
      return few_[slot].get();
    return many_ != nullptr && slot - kFew < depth_ ? many_[slot - kFew].get() : nullptr;
  }
  const std::shared_ptr<Memory>& staging() const { return few_[wire::kStaging]; }

  // A slot for this memory, held until it is released; the staging memory's when there is none left.
  uint32_t hold(const std::shared_ptr<Memory>& memory) {
    const uint32_t slot = freeSlot();
    if (slot != wire::kStaging) slotAt(slot) = memory;
    return slot;
  }

  void release(uint32_t slot) {
    if (slot == wire::kStaging || at(slot) == nullptr) return;
    slotAt(slot).reset();
    free_.push_back(slot);
  }

 private:
  // Hardly anybody has more buffers than this on their way. Whoever has gets room for all that there can be.
  static constexpr uint32_t kFew = 64;

  std::shared_ptr<Memory>& slotAt(uint32_t slot) { return slot < kFew ? few_[slot] : many_[slot - kFew]; }

  uint32_t freeSlot() {
    if (!free_.empty()) {
      const uint32_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    if (next_ == kFew && many_ == nullptr) many_.reset(new (std::nothrow) std::shared_ptr<Memory>[depth_]);
    const bool room = next_ < kFew || (many_ != nullptr && next_ - kFew < depth_);
    return room ? next_++ : wire::kStaging;
  }

  const uint32_t depth_;
  std::array<std::shared_ptr<Memory>, kFew> few_;
  std::unique_ptr<std::shared_ptr<Memory>[]> many_;
  std::vector<uint32_t> free_;
  uint32_t next_ = wire::kStaging + 1;  // no slot from here on was ever given out
};

}  // namespace ismio
