// x86-64: ordinary moves reach the device; 64-byte bursts through non-temporal stores or MOVDIR64B.
//
// Which instruction makes one 64-byte transaction: MOVDIR64B always (Intel SDM, "64-byte write with 64-byte write
// atomicity"); a whole-line AVX-512 non-temporal store and four SSE2 ones only where the write-combining buffer is
// flushed whole, which is usual and not promised (Intel SDM vol. 1, 10.4.6.2).
#if defined(__x86_64__)

#include <immintrin.h>

#include "insn/mmio.h"
#include "insn/plain.h"

namespace ismio {
namespace {

void fence() { _mm_mfence(); }

void burstSse2(uint8_t* address, const uint8_t* source, uint64_t lines) {
  for (; lines > 0; lines--, address += 64, source += 64) {
    for (int i = 0; i < 64; i += 16) {
      const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
      _mm_stream_si128(reinterpret_cast<__m128i*>(address + i), part);
    }
  }
  _mm_sfence();
}

__attribute__((target("avx512f"))) void burstAvx512(uint8_t* address, const uint8_t* source, uint64_t lines) {
  for (; lines > 0; lines--, address += 64, source += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(address), _mm512_loadu_si512(source));
  }
  _mm_sfence();
}

__attribute__((target("movdir64b"))) void burstMovdir(uint8_t* address, const uint8_t* source, uint64_t lines) {
  for (; lines > 0; lines--, address += 64, source += 64) _movdir64b(address, source);
  _mm_sfence();
}

// For kind 'memory'. The library copies blocks of 4 KiB and more with REP MOVSB, which the CPU does not overlap with
// what comes before and after it; a loop of wide moves it does.
constexpr uint32_t kWide = 256;

__attribute__((target("avx512f"))) Status copyAvx512(uint8_t* address, const uint8_t* source, uint32_t length,
                                                     Failure&) {
  for (; length >= kWide; length -= kWide, address += kWide, source += kWide) {
    const __m512i a = _mm512_loadu_si512(source);
    const __m512i b = _mm512_loadu_si512(source + 64);
    const __m512i c = _mm512_loadu_si512(source + 128);
    const __m512i d = _mm512_loadu_si512(source + 192);
    _mm512_storeu_si512(address, a);
    _mm512_storeu_si512(address + 64, b);
    _mm512_storeu_si512(address + 128, c);
    _mm512_storeu_si512(address + 192, d);
  }
  std::memcpy(address, source, length);
  return Status::ok;
}

__attribute__((target("avx2"))) Status copyAvx2(uint8_t* address, const uint8_t* source, uint32_t length, Failure&) {
  for (; length >= kWide; length -= kWide, address += kWide, source += kWide) {
    for (uint32_t i = 0; i < kWide; i += 32) {
      const __m256i part = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(address + i), part);
    }
  }
  std::memcpy(address, source, length);
  return Status::ok;
}

template <void (*burst)(uint8_t*, const uint8_t*, uint64_t)>
Status storeBurst(uint8_t* address, const uint8_t* source, uint32_t length, Failure&) {
  plain::storeAligned(address, source, length, 64, burst);
  return Status::ok;
}

constexpr Mmio withBurst(const char* name, decltype(Mmio::storeBlock) storeBlock) {
  return {name, true, plain::load, plain::loadWords, plain::store, storeBlock, fence};
}

constexpr Mmio kCopy = plain::memoryMmio(fence);
constexpr Mmio kCopyAvx2 = {"memory copy avx2", true, plain::load, plain::copyWords, plain::store, copyAvx2, fence};
constexpr Mmio kCopyAvx512 = {"memory copy avx512", true,       plain::load, plain::copyWords,
                              plain::store,         copyAvx512, fence};
constexpr Mmio kMapped = withBurst("x86-64 8-byte", plain::storeBlock);
constexpr Mmio kSse2 = withBurst("x86-64 burst sse2", storeBurst<burstSse2>);
constexpr Mmio kAvx512 = withBurst("x86-64 burst avx512", storeBurst<burstAvx512>);
constexpr Mmio kMovdir = withBurst("x86-64 burst movdir64b", storeBurst<burstMovdir>);

// CPUID leaf 7, sub-leaf 0, ECX bit 28 (Intel SDM vol. 2A); GCC's __builtin_cpu_supports does not know the name.
bool hasMovdir64b() {
  uint32_t a = 7, b = 0, c = 0, d = 0;
  asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return (c >> 28 & 1) != 0;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels chosen = [] {
    const Mmio* burst = hasMovdir64b() ? &kMovdir : __builtin_cpu_supports("avx512f") ? &kAvx512 : &kSse2;
    const Mmio* memory = __builtin_cpu_supports("avx512f") ? &kCopyAvx512
                         : __builtin_cpu_supports("avx2")  ? &kCopyAvx2
                                                           : &kCopy;
    return Kernels{"x86-64", memory, &kMapped, burst, &kMapped};
  }();
  return chosen;
}

}  // namespace ismio

#endif
