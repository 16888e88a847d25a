// Queued writes in any order in, disjoint fragments in ascending order out; where writes overlap, the last one wins,
// byte by byte. This is what order 'relaxed' with merge 'any' means.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "exec/intervals.h"

namespace ismio {

struct Fragment {
  uint64_t offset;
  uint64_t length;
  const uint8_t* bytes;
  bool scalar;  // a whole store of 1, 2, 4 or 8 bytes
};

class Overlay {
 public:
  void add(uint64_t offset, uint64_t length, const uint8_t* bytes, bool scalar) {
    writes_.push_back({offset, length, bytes, scalar});
  }
  bool empty() const { return writes_.empty(); }
  void discard();
  // Whether a load of these bytes to this target has to wait for a write: it would see its bytes, or overwrite them at
  // their source.
  bool meets(uint64_t offset, const uint8_t* target, uint64_t length);
  // The fragments; valid until the next call. Leaves the overlay empty.
  const std::vector<Fragment>& resolve();

 private:
  // So many loads look at every write. A gathering with more of them is worth its indexes, which take some 200 ns a
  // write.
  static constexpr uint32_t kLooks = 16;

  bool looksUp(uint64_t offset, uint64_t address, uint64_t length);
  void sweep();

  std::vector<Fragment> writes_;  // in program order
  std::vector<Fragment> fragments_;
  std::vector<uint32_t> byOffset_;
  uint32_t looks_ = 0;
  size_t indexed_ = 0;  // how many of the writes the indexes have
  Intervals offsets_;
  Intervals addresses_;
  std::vector<uint32_t> open_;  // heap: the latest write that covers the sweep's position on top
};

}  // namespace ismio
