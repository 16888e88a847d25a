#include "exec/overlay.h"

#include <algorithm>
#include <numeric>

namespace ismio {

bool Overlay::meets(uint64_t offset, const uint8_t* target, uint64_t length) {
  const auto address = reinterpret_cast<uintptr_t>(target);
  if (looks_ == kLooks) return looksUp(offset, address, length);
  looks_++;
  return std::any_of(writes_.begin(), writes_.end(), [&](const Fragment& write) {
    const auto source = reinterpret_cast<uintptr_t>(write.bytes);
    const bool sees = write.offset < offset + length && offset < write.offset + write.length;
    return sees || (source < address + length && address < source + write.length);
  });
}

bool Overlay::looksUp(uint64_t offset, uint64_t address, uint64_t length) {
  for (; indexed_ < writes_.size(); indexed_++) {
    const Fragment& write = writes_[indexed_];
    offsets_.add(write.offset, write.length);
    addresses_.add(reinterpret_cast<uintptr_t>(write.bytes), write.length);
  }
  return offsets_.meets(offset, length) || addresses_.meets(address, length);
}

void Overlay::discard() {
  writes_.clear();
  if (indexed_ > 0) {
    offsets_.clear();
    addresses_.clear();
    indexed_ = 0;
  }
  looks_ = 0;
}

const std::vector<Fragment>& Overlay::resolve() {
  fragments_.clear();
  const bool ascending = std::adjacent_find(writes_.begin(), writes_.end(), [](const Fragment& a, const Fragment& b) {
                           return a.offset + a.length > b.offset;
                         }) == writes_.end();
  if (ascending) {
    fragments_.swap(writes_);
  } else {
    sweep();
  }
  discard();
  return fragments_;
}

// Goes up through the offsets. Between two places where a write begins or ends, the latest of the open ones is seen:
//
//     write 1   ##########              fragments   1111
//     write 2       ######                              222222   (2 and then nothing: 3 begins later)
//     write 3                ####                                3333
void Overlay::sweep() {
  byOffset_.resize(writes_.size());
  std::iota(byOffset_.begin(), byOffset_.end(), 0u);
  std::sort(byOffset_.begin(), byOffset_.end(),
            [&](uint32_t a, uint32_t b) { return writes_[a].offset < writes_[b].offset; });
  const auto end = [&](uint32_t write) { return writes_[write].offset + writes_[write].length; };

  open_.clear();
  size_t coming = 0;
  uint64_t position = 0;
  while (coming < byOffset_.size() || !open_.empty()) {
    while (!open_.empty() && end(open_.front()) <= position) {
      std::pop_heap(open_.begin(), open_.end());
      open_.pop_back();
    }
    if (open_.empty()) {
      if (coming == byOffset_.size()) break;
      position = std::max(position, writes_[byOffset_[coming]].offset);
    }
    while (coming < byOffset_.size() && writes_[byOffset_[coming]].offset <= position) {
      open_.push_back(byOffset_[coming++]);
      std::push_heap(open_.begin(), open_.end());
    }
    const uint32_t top = open_.front();
    if (end(top) <= position) continue;
    uint64_t until = end(top);
    if (coming < byOffset_.size()) until = std::min(until, writes_[byOffset_[coming]].offset);
    const Fragment& write = writes_[top];
    const bool whole = position == write.offset && until == end(top);
    const uint8_t* bytes = write.bytes + (position - write.offset);
    fragments_.push_back({position, until - position, bytes, whole && write.scalar});
    position = until;
  }
}

}  // namespace ismio
