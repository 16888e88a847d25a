// Queued writes in any order in, disjoint fragments in ascending order out; where writes overlap, the last one wins,
// byte by byte. This is what order 'relaxed' with merge 'any' means.
#pragma once

#include <cstdint>
#include <vector>

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
  void discard() { writes_.clear(); }
  bool overlaps(uint64_t offset, uint64_t length) const;
  // Whether a write takes its bytes from there.
  bool readsFrom(const uint8_t* bytes, uint64_t length) const;
  // The fragments; valid until the next call. Leaves the overlay empty.
  const std::vector<Fragment>& resolve();

 private:
  void sweep();

  std::vector<Fragment> writes_;  // in program order
  std::vector<Fragment> fragments_;
  std::vector<uint32_t> byOffset_;
  std::vector<uint32_t> open_;  // heap: the latest write that covers the sweep's position on top
};

}  // namespace ismio
