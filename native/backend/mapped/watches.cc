#include "backend/mapped/watches.h"

#include <new>

namespace ismio {

// Fields are written with release and read with acquire: whoever sees a new one sees that the sequence is odd, or
// further, as well.
class Watches::Slot {
 public:
  void write(const Watch& watch) {
    const uint64_t rest = sequence_.load(std::memory_order_relaxed);
    sequence_.store(rest + 1, std::memory_order_relaxed);
    base_.store(watch.base, std::memory_order_release);
    length_.store(watch.length, std::memory_order_release);
    pageSize_.store(watch.pageSize, std::memory_order_release);
    fault_.store(watch.fault, std::memory_order_release);
    sequence_.store(rest + 2, std::memory_order_release);
  }

  bool read(Watch& watch) const {
    const uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before % 2 != 0) return false;
    watch.base = base_.load(std::memory_order_acquire);
    watch.length = length_.load(std::memory_order_acquire);
    watch.pageSize = pageSize_.load(std::memory_order_acquire);
    watch.fault = fault_.load(std::memory_order_acquire);
    return sequence_.load(std::memory_order_relaxed) == before;
  }

  Slot* nextFree = nullptr;  // under the table's mutex

 private:
  std::atomic<uint64_t> sequence_{0};
  std::atomic<uint8_t*> base_{nullptr};
  std::atomic<size_t> length_{0};
  std::atomic<size_t> pageSize_{0};
  std::atomic<BusFault*> fault_{nullptr};
};

struct Watches::Chunk {
  Slot slots[64];
  Chunk* next;
};

Watches::Slot* Watches::take() {
  if (free_ == nullptr) {
    auto* chunk = new (std::nothrow) Chunk{};
    if (chunk == nullptr) return nullptr;
    for (Slot& slot : chunk->slots) {
      slot.nextFree = free_;
      free_ = &slot;
    }
    chunk->next = chunks_.load(std::memory_order_relaxed);
    chunks_.store(chunk, std::memory_order_release);
  }
  Slot* slot = free_;
  free_ = slot->nextFree;
  return slot;
}

Watches::Slot* Watches::add(const Watch& watch) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Slot* slot = take();
  if (slot != nullptr) slot->write(watch);
  return slot;
}

void Watches::remove(Slot* slot) {
  const std::lock_guard<std::mutex> lock(mutex_);
  slot->write({nullptr, 0, 0, nullptr});
  slot->nextFree = free_;
  free_ = slot;
}

bool Watches::find(const uint8_t* address, Watch& found) const {
  const auto place = reinterpret_cast<uintptr_t>(address);
  for (const Chunk* chunk = chunks_.load(std::memory_order_acquire); chunk != nullptr; chunk = chunk->next) {
    for (const Slot& slot : chunk->slots) {
      if (slot.read(found) && place - reinterpret_cast<uintptr_t>(found.base) < found.length) return true;
    }
  }
  return false;
}

}  // namespace ismio
