// Series: 8-byte stores that are an equal distance apart, as one entry of the ring with their words behind it
// (native/wire/wire.h). What each of them comes to is the same as if it had an entry of its own.
#pragma once

#include <cstdint>

#include "exec/entries.h"

namespace ismio {

// The one that an executor is in.
class Series {
 public:
  // Begins the one at this index. False where there is none, or one of its stores is not within a region of this size.
  bool begin(const Ring& ring, uint32_t index, uint32_t to, uint64_t size);
  // There is none, and none before this index.
  void end(uint32_t index) {
    first_ = index;
    count_ = 0;
  }

  uint32_t first() const { return first_; }
  bool has(uint32_t index) const { return index - first_ < count_; }
  uint32_t left(uint32_t index) const { return first_ + count_ - index; }

  // Of the store with this index. The word is its bytes, in the order of their addresses.
  uint64_t offset(uint32_t index) const { return offset_ + (index - first_) * step_; }
  uint64_t word(uint32_t index) const;
  // Whether each but the first continues the one before it, or neither touches nor overlaps it.
  bool sequential() const { return step_ == 8; }
  bool apart() const { return step_ + 8 > 16; }
  // The words from this index on, one behind the other.
  void copyWords(uint8_t* target, uint32_t index, uint64_t count) const;

 private:
  uint32_t first_ = 0;
  uint32_t count_ = 0;
  uint64_t offset_ = 0;
  uint64_t step_ = 0;  // modulo 2^64: it may go down
  const uint8_t* words_ = nullptr;
  bool highFirst_ = false;
};

// Makes each series in [from, to) the stores that it stands for, in its place. Something goes through the entries one
// by one then.
void unfold(const Ring& ring, uint32_t from, uint32_t to);

}  // namespace ismio
