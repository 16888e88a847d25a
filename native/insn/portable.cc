// Any other CPU: volatile accesses and the compiler's strongest fence. No bursts.
#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(__s390x__)

#include <atomic>

#include "insn/mmio.h"
#include "insn/plain.h"

namespace ismio {
namespace {

void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

constexpr Mmio kMemory = plain::memoryMmio(fence);
constexpr Mmio kMapped = {"portable 8-byte", true, plain::load, plain::loadWords, plain::store,
                          plain::storeBlock, fence};

}  // namespace

const Kernels& kernels() {
  static const Kernels chosen{"portable", &kMemory, &kMapped, nullptr, &kMapped};
  return chosen;
}

}  // namespace ismio

#endif
