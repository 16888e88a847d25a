// What happens when mapped memory goes away: a file that was truncated, a device whose memory decode was switched off.
// The kernel then sends SIGBUS to whoever touches a page that is gone. The guard puts a page of zeros there, remembers
// that the region is lost, and lets the access go on; the caller asks `lost` after each access and reports it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ismio {

class Guard {
 public:
  // Watches [base, base + length); pages there are `pageSize` bytes (larger on hugetlbfs).
  Guard(uint8_t* base, size_t length, size_t pageSize);
  ~Guard() { release(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // False when more mappings are open than can be watched.
  bool watching() const { return slot_ >= 0; }
  // Stops watching; must come before the range is unmapped, because the addresses may serve somebody else next.
  void release();
  bool lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> lost_{false};
  int slot_ = -1;
};

}  // namespace ismio
