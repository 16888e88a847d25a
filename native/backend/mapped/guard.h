// What happens when mapped memory goes away: a file that was truncated, a device whose memory decode was switched off.
// The kernel then sends SIGBUS to whoever touches a page that is gone. The guard puts zeros over the whole mapping,
// having noted that it is lost, and lets the access go on. Callers ask `lost` before an access, so that a mapping that
// is lost is not touched again, and after it.
//
// The note is seen by every access that met zeros, and by no access later than that: between the note and the zeros the
// handler has every thread of the process pass a full barrier (membarrier, Linux 4.14), which the accesses themselves
// then need not. An access made before it reached the file.
#pragma once

#include "backend/mapped/watches.h"

namespace ismio {

class Guard {
 public:
  Guard() = default;
  ~Guard() { release(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Watches [base, base + length), whole pages of `pageSize` bytes (larger on hugetlbfs). 0, or an errno: of sigaction,
  // or ENOMEM.
  int watch(uint8_t* base, size_t length, size_t pageSize);
  // Stops watching; must come before the range is unmapped, because the addresses may serve somebody else next.
  void release();

  bool lost() const {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // for the compiler: before, or after, the access, as written
    return fault_.happened();
  }
  const BusFault& fault() const { return fault_; }

  // Puts the handler in front of whoever has taken SIGBUS since, whom it then passes on to; does nothing where no
  // thread has watched anything yet. 0, or an errno: of sigaction, or ENOMEM.
  static int again();

 private:
  static int arm();

  BusFault fault_;
  Watches::Slot* slot_ = nullptr;
};

}  // namespace ismio
