// What one JavaScript thread holds, by number: regions, queues, signals, descriptors, all of them in one table.
//
//     number    1, 2, 3, ..          counts for ever: a number never comes back, whatever is opened and closed
//     place     number mod length    a power of two, at least twice as many places as things
//
//     | 9 region | - | - | 4 queue | 13 region | - | 7 device | - |
//
// `add` takes the next number whose place is free, so a look-up is one load and one comparison, with no search. The
// kind of a thing is part of what is compared: the number of a queue finds no region. There is no other way to get at a
// thing, so nobody can forget to look. JavaScript has a number exactly up to 2^53, which at a million openings a second
// takes 285 years.
//
// Nothing in here is seen by another thread, so nothing is locked; and nothing in here knows of Node-API.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ismio::binding {

// In the order in which an ending thread lets go of them: first who uses, then what is used.
enum class HandleKind : uint8_t {
  nothing = 0,
  queue,   // its thread is joined
  server,  // of a device: its thread is joined
  signal,  // an interrupt's eventfd
  region,
  connection,  // to a device in another process
  function,    // a device of this thread's own
  engine,      // of a BAR of one
  fabric,      // that connects several
  bell,        // of a lane past one
  counts,      // of a region that was closed
  device,      // a descriptor of a VFIO device
  descriptor,  // a group, a container or an iommufd, oldest first: a group lets go of its container before that goes
};

class Held {
 public:
  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  virtual ~Held() = default;
};

// A `Thing` is a Held that says which of the kinds it is: static constexpr HandleKind kKind.
class Handles {
 public:
  Handles() : slots_(kFewest) {}
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() { clear(); }

  // A number that was never given out before; never 0.
  template <class Thing>
  uint64_t add(std::unique_ptr<Thing> thing) {
    if (++used_ * 2 > slots_.size()) grow();
    do last_++;
    while (at(last_).key != 0);
    at(last_) = {keyOf<Thing>(last_), std::move(thing)};
    return last_;
  }

  // Null for a number that was given back, or is that of another kind, or was never given out.
  template <class Thing>
  Thing* find(uint64_t number) const {
    const Slot& slot = at(number);
    return slot.key == keyOf<Thing>(number) ? static_cast<Thing*>(slot.held.get()) : nullptr;
  }

  template <class Thing>
  std::unique_ptr<Thing> take(uint64_t number) {
    if (find<Thing>(number) == nullptr) return nullptr;
    Slot& slot = at(number);
    std::unique_ptr<Thing> thing(static_cast<Thing*>(slot.held.release()));
    slot.key = 0;
    used_--;
    return thing;
  }

  size_t size() const { return used_; }

  // Lets go of everything, kind by kind, and within a kind of the oldest first.
  void clear() {
    std::vector<Slot> left;
    for (Slot& slot : slots_) {
      if (slot.key != 0) left.push_back(std::exchange(slot, {}));
    }
    used_ = 0;
    const auto turn = [](const Slot& slot) { return std::pair(slot.key & kKindMask, slot.key); };
    std::ranges::sort(left, {}, turn);
    for (Slot& slot : left) slot.held.reset();
  }

 private:
  static constexpr size_t kFewest = 16;
  static constexpr uint32_t kKindBits = 4;
  static constexpr uint64_t kKindMask = (1u << kKindBits) - 1;

  struct Slot {
    uint64_t key = 0;  // number and kind; 0 where nothing is
    std::unique_ptr<Held> held;
  };

  template <class Thing>
  static uint64_t keyOf(uint64_t number) {
    static_assert(Thing::kKind != HandleKind::nothing && static_cast<uint64_t>(Thing::kKind) <= kKindMask);
    return number << kKindBits | static_cast<uint64_t>(Thing::kKind);
  }

  Slot& at(uint64_t number) { return slots_[number & mask_]; }
  const Slot& at(uint64_t number) const { return slots_[number & mask_]; }

  // Two things that had places of their own have them in a table of twice the length as well.
  void grow() {
    std::vector<Slot> before(slots_.size() * 2);
    before.swap(slots_);
    mask_ = slots_.size() - 1;
    for (Slot& slot : before) {
      if (slot.key != 0) at(slot.key >> kKindBits) = std::move(slot);
    }
  }

  std::vector<Slot> slots_;
  uint64_t mask_ = kFewest - 1;
  size_t used_ = 0;
  uint64_t last_ = 0;
};

}  // namespace ismio::binding
