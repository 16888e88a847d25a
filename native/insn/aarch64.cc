// aarch64: ordinary loads and stores reach the device. Device memory forbids SIMD-free only by our own contract; what
// the architecture asks for is natural alignment, which the plain kernels keep, and a barrier that orders the outer
// shareable domain (Arm ARM, B2.3.12: DSB SY).
#if defined(__aarch64__)

#include "insn/mmio.h"
#include "insn/plain.h"

namespace ismio {
namespace {

void fence() { asm volatile("dsb sy" ::: "memory"); }

// A burst is four store pairs of 16 bytes; whether they travel as one is up to the interconnect.
void burstPairs(uint8_t* address, const uint8_t* source, uint64_t lines) {
  for (; lines > 0; lines--, address += 64, source += 64) {
    uint64_t words[8];
    std::memcpy(words, source, sizeof words);
    asm volatile(
        "stnp %1, %2, [%0]\n\t"
        "stnp %3, %4, [%0, #16]\n\t"
        "stnp %5, %6, [%0, #32]\n\t"
        "stnp %7, %8, [%0, #48]"
        :
        : "r"(address), "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]), "r"(words[4]), "r"(words[5]),
          "r"(words[6]), "r"(words[7])
        : "memory");
  }
  asm volatile("dsb st" ::: "memory");
}

Status storeBurst(uint8_t* address, const uint8_t* source, uint32_t length, Failure&) {
  plain::storeAligned(address, source, length, 64, burstPairs);
  return Status::ok;
}

constexpr Mmio kMemory = plain::memoryMmio(fence);
constexpr Mmio kMapped = {"aarch64 8-byte",  true, plain::load, plain::loadWords, plain::store,
                          plain::storeBlock, fence};
constexpr Mmio kBurst = {"aarch64 burst stnp", true, plain::load, plain::loadWords, plain::store, storeBurst, fence};

}  // namespace

const Kernels& kernels() {
  static const Kernels chosen{"aarch64", &kMemory, &kMapped, &kBurst, &kMapped};
  return chosen;
}

}  // namespace ismio

#endif
