// The mappings that are watched, in a table that a signal handler reads: it takes no lock and allocates nothing.
//
// Every slot is a sequence lock. A handler that meets a slot under change passes over it, and is right to: a mapping
// that is accessed is not being opened or closed, so its own slot is at rest. What it reads of a slot at rest belongs
// together; ranges that are watched at one time do not overlap, so no other slot can hold its address.
//
//     writer    sequence odd      range, loss      sequence even      (one at a time, under a mutex)
//     reader    sequence even? -> range, loss   -> sequence the same? (any thread, in the handler)
//
// The sequence has 64 bits and never comes round. Slots stand in chunks that are linked and never freed, so the table
// is as long as the most mappings that were open at once; the kernel's vm.max_map_count bounds those.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace ismio {

// The first fault on a mapping, in one word, so that it is seen whole: how far into the mapping, and the si_code of the
// SIGBUS, which is never 0. The word is 0 while nothing is lost.
class BusFault {
 public:
  bool happened() const { return word_.load(std::memory_order_relaxed) != 0; }
  uint64_t at() const { return word_.load(std::memory_order_relaxed) >> kCodeBits; }
  // Its lowest byte is the code.
  const std::atomic<uint64_t>& word() const { return word_; }
  int code() const { return static_cast<int>(word_.load(std::memory_order_relaxed) & ((1u << kCodeBits) - 1)); }
  // The first one stays.
  void record(uint64_t at, int code) {
    uint64_t none = 0;
    word_.compare_exchange_strong(none, at << kCodeBits | static_cast<uint64_t>(code));
  }

 private:
  static constexpr int kCodeBits = 8;  // codes of SIGBUS go up to 5 (Linux include/uapi/asm-generic/siginfo.h)
  std::atomic<uint64_t> word_{0};
};

struct Watch {
  uint8_t* base;
  size_t length;    // whole pages
  size_t pageSize;  // larger on hugetlbfs
  BusFault* fault;
};

class Watches {
 public:
  class Slot;

  // Null when there is no memory for another slot.
  Slot* add(const Watch& watch);
  void remove(Slot* slot);
  // The one that this address lies in. For a signal handler.
  bool find(const uint8_t* address, Watch& found) const;

 private:
  struct Chunk;
  Slot* take();

  std::mutex mutex_;
  std::atomic<Chunk*> chunks_{nullptr};  // the latest first
  Slot* free_ = nullptr;
};

}  // namespace ismio
