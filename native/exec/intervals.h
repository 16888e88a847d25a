// Ranges of numbers, joined where they touch: whether another range meets one of them takes the logarithm of how many
// there are.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

namespace ismio {

class Intervals {
 public:
  // [start, start + length); length > 0.
  void add(uint64_t start, uint64_t length) {
    uint64_t end = start + length;
    auto next = ends_.upper_bound(start);
    if (next != ends_.begin()) {
      const auto before = std::prev(next);
      if (before->second >= start) {
        start = before->first;
        if (before->second > end) end = before->second;
        next = ends_.erase(before);
      }
    }
    while (next != ends_.end() && next->first <= end) {
      if (next->second > end) end = next->second;
      next = ends_.erase(next);
    }
    ends_.emplace_hint(next, start, end);
  }

  bool meets(uint64_t start, uint64_t length) const {
    if (length == 0) return false;
    const auto next = ends_.upper_bound(start);
    if (next != ends_.end() && next->first < start + length) return true;
    return next != ends_.begin() && std::prev(next)->second > start;
  }

  void clear() { ends_.clear(); }

 private:
  std::map<uint64_t, uint64_t> ends_;  // by start
};

}  // namespace ismio
