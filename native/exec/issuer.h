// One access at a time: checked, tried again while the device is busy, counted. Whole writes and reads are planned
// here.
#pragma once

#include <atomic>
#include <cstdint>

#include "exec/lookout.h"
#include "insn/order.h"
#include "plan/planner.h"
#include "region/region.h"

namespace ismio {

// Linux tries a busy instruction again after 1 us, for ever (arch/s390/pci/pci_insn.c). We double the wait from 1 us to
// 128 us and give up after this many tries, some 8 ms.
inline constexpr uint32_t kBusyTries = 64;

// How many blocks of this length one behind the other are made together, of so many bytes, where `together` of 4 KiB
// are.
constexpr uint64_t spanOf(uint64_t length, uint64_t bytes, uint64_t together) {
  return least(bytes, least(together * 4096, kMostBlocksTogether * length)) / length;
}

constexpr bool spansBlocks(const Rules& rules) { return rules.maxStoreBlock >= rules.boundary && rules.boundary > 8; }

class Issuer {
 public:
  explicit Issuer(const Attachment& attachment)
      : attachment_(attachment),
        region_(attachment.region()),
        backend_(region_.backend()),
        counters_(attachment.counters()),
        writable_(region_.traits().writable),
        singleStores_(writable_ && region_.traits().rules.singleStores),
        blocksOnly_(region_.traits().rules.blocksOnly()),
        sourceMask_(backend_.sourceAlignment - 1),
        spans_(spansBlocks(region_.traits().rules) && !bounces()) {}

  // Between two accesses `stop` ends the work with Status::aborted. `progress` is told how many bytes of a write or
  // read went through, after each access.
  void watch(const Stop& stop, std::atomic<uint64_t>* progress = nullptr) {
    stop_ = stop.flag;
    lookout_ = stop.lookout;
    progress_ = progress;
  }
  void unwatch() {
    stop_ = nullptr;
    lookout_ = nullptr;
    progress_ = nullptr;
  }

  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure);
  // Where the function takes store blocks alone, a store goes out as one; with strict rules there is none so short.
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure);
  // 8-byte stores, one after the other; `done` counts those that went through.
  Status storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure);
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure);
  // Store blocks, one after the other; `done` counts those that went through.
  Status storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure);
  // The same for blocks like the first, each behind the one before it, on both sides. All are legal if the first is.
  Status storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure);
  Status issue(const Piece& piece, const uint8_t* source, Failure& failure) {
    return piece.block ? storeBlock(piece.offset, source, piece.length, failure)
                       : store(piece.offset, source, piece.length, failure);
  }

  // Any length at any offset; `failure.done` says how many bytes went through before a failure. A write that no legal
  // stores can carry is refused whole.
  Status write(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure);
  Status read(uint64_t offset, uint8_t* target, uint64_t length, Failure& failure);

  // Refuses a write that no legal stores can carry.
  Status impossible(uint64_t offset, uint64_t length, Failure& failure) const;

  // Only a full one asks something of the backend: the others order memory, whatever the region is.
  void fence(Fence purpose) {
    if (purpose == Fence::full) return backend_.fence();
    if (purpose == Fence::beforeDoorbell) return order::beforeDoorbell();
    order::afterStatus();
  }

 private:
  // How often a block is copied on its way from this source: once, or not at all. Asked where `bounces` says so.
  bool bounces() const { return sourceMask_ != 0; }
  uint64_t copiesOf(const uint8_t* source) const { return (reinterpret_cast<uintptr_t>(source) & sourceMask_) != 0; }
  bool stopped() const {
    return stop_ != nullptr && stop_->load(std::memory_order_relaxed) != 0 &&
           (lookout_ == nullptr || lookout_->calledOff());
  }
  Status mayGoOn() const {
    if (stopped()) return Status::aborted;
    if (region_.closed()) return Status::closed;
    return region_.lost() ? Status::regionLost : Status::ok;
  }
  Status mayStore() const { return writable_ ? mayGoOn() : Status::readOnly; }

  template <class Access>
  Status attempt(bool storing, uint64_t offset, uint64_t length, Failure& failure, Access access);
  template <class Access>
  Status tryIfAllowed(bool storing, uint64_t offset, uint64_t length, Failure& failure, Access access);
  template <class Access>
  Status tryAgain(Status status, uint64_t offset, uint64_t length, Failure& failure, Access access);
  Status failed(Status status, uint64_t offset, uint64_t length, Failure& failure) const;
  template <class Run>
  Status attemptRun(bool storing, uint64_t count, uint64_t& done, Failure& failure, Run&& run);
  // One access, not counted.
  Status attemptStore(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure);
  Status attemptBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure);
  Status storeOtherwise(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure);
  Status writeInSpans(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure);
  Status writeInBlocks(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure);
  template <auto cut>
  void countCopies(uint64_t offset, const uint8_t* source, uint64_t length);
  template <auto cut, bool spans>
  Status planWrite(uint64_t offset, const uint8_t* source, uint64_t length, Failure& failure);
  Status planRead(uint64_t offset, uint8_t* target, uint64_t length, Failure& failure);
  Status loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure);

  void tell(uint64_t done) const {
    if (progress_ != nullptr) progress_->store(done, std::memory_order_release);
  }

  const Attachment& attachment_;
  Region& region_;
  Backend& backend_;
  Counters& counters_;
  const bool writable_;
  const bool singleStores_;  // there are some, and they are allowed
  const bool blocksOnly_;
  const uintptr_t sourceMask_;  // address bits that are 0 where a block goes straight from its source
  const bool spans_;            // a block may go from one boundary to the next, straight from its source
  const std::atomic<uint32_t>* stop_ = nullptr;
  Lookout* lookout_ = nullptr;
  std::atomic<uint64_t>* progress_ = nullptr;
};

}  // namespace ismio
