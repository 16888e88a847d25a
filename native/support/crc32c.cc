#include "support/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define ISMIO_CRC32C_TARGET __attribute__((target("sse4.2")))
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define ISMIO_CRC32C_TARGET __attribute__((target("+crc")))
#endif

namespace ismio {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, its lowest power first

using Table = std::array<uint32_t, 256>;

// [k][b]: what byte b does to the state once k zeros have followed it.
constexpr std::array<Table, 8> kSlices = [] {
  std::array<Table, 8> slices{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t state = byte;
    for (int bit = 0; bit < 8; bit++) state = (state >> 1) ^ ((state & 1) != 0 ? kPolynomial : 0);
    slices[0][byte] = state;
  }
  for (size_t k = 1; k < slices.size(); k++) {
    for (size_t byte = 0; byte < 256; byte++) {
      const uint32_t before = slices[k - 1][byte];
      slices[k][byte] = (before >> 8) ^ slices[0][before & 0xff];
    }
  }
  return slices;
}();

uint64_t littleEndian(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return std::endian::native == std::endian::big ? __builtin_bswap64(word) : word;
}

// Slicing by 8 (Kounavis and Berry, 2005).
uint32_t byTables(uint32_t before, const uint8_t* bytes, size_t length) {
  uint32_t state = ~before;
  for (; length >= 8; length -= 8, bytes += 8) {
    const uint64_t word = littleEndian(bytes) ^ state;
    state = 0;
    for (size_t k = 0; k < 8; k++) state ^= kSlices[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; length > 0; length--, bytes++) state = (state >> 8) ^ kSlices[0][(state ^ *bytes) & 0xff];
  return ~state;
}

#if defined(ISMIO_CRC32C_TARGET)

// What so many zeros behind a state make of it: a sum over its bytes, since all of it is linear.
class Zeros {
 public:
  explicit constexpr Zeros(size_t count) {
    std::array<uint32_t, 32> bits{};
    for (size_t bit = 0; bit < bits.size(); bit++) {
      uint32_t state = uint32_t{1} << bit;
      for (size_t i = 0; i < count; i++) state = (state >> 8) ^ kSlices[0][state & 0xff];
      bits[bit] = state;
    }
    for (size_t byte = 0; byte < 4; byte++) {
      for (size_t value = 0; value < 256; value++) {
        for (size_t bit = 0; bit < 8; bit++) {
          if (((value >> bit) & 1) != 0) tables_[byte][value] ^= bits[8 * byte + bit];
        }
      }
    }
  }

  uint32_t behind(uint32_t state) const {
    return tables_[0][state & 0xff] ^ tables_[1][(state >> 8) & 0xff] ^ tables_[2][(state >> 16) & 0xff] ^
           tables_[3][state >> 24];
  }

 private:
  std::array<Table, 4> tables_{};
};

// The instruction takes three cycles, and one may begin in each: three stretches go side by side. Three of the longer
// ones are all but 16 bytes of 4 KiB, three of the shorter ones all but 8 of 512.
constexpr size_t kLong = 1360;
constexpr size_t kShort = 168;
constexpr Zeros kLongZeros(kLong);
constexpr Zeros kShortZeros(kShort);

#if defined(__x86_64__)
ISMIO_CRC32C_TARGET inline uint64_t take8(uint64_t state, const uint8_t* bytes) {
  return _mm_crc32_u64(state, littleEndian(bytes));
}
ISMIO_CRC32C_TARGET inline uint64_t take1(uint64_t state, uint8_t byte) {
  return _mm_crc32_u8(static_cast<uint32_t>(state), byte);
}
bool hasInstruction() { return __builtin_cpu_supports("sse4.2") != 0; }
constexpr const char* kInstruction = "sse4.2";
#else
ISMIO_CRC32C_TARGET inline uint64_t take8(uint64_t state, const uint8_t* bytes) {
  return __builtin_aarch64_crc32cx(static_cast<uint32_t>(state), littleEndian(bytes));
}
ISMIO_CRC32C_TARGET inline uint64_t take1(uint64_t state, uint8_t byte) {
  return __builtin_aarch64_crc32cb(static_cast<uint32_t>(state), byte);
}
bool hasInstruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
constexpr const char* kInstruction = "crc32";
#endif

template <size_t stride>
ISMIO_CRC32C_TARGET inline uint64_t takeThree(uint64_t state, const uint8_t* bytes, const Zeros& zeros) {
  uint64_t second = 0;
  uint64_t third = 0;
  for (const uint8_t* const end = bytes + stride; bytes < end; bytes += 8) {
    state = take8(state, bytes);
    second = take8(second, bytes + stride);
    third = take8(third, bytes + 2 * stride);
  }
  const uint32_t two = zeros.behind(static_cast<uint32_t>(state)) ^ static_cast<uint32_t>(second);
  return zeros.behind(two) ^ static_cast<uint32_t>(third);
}

ISMIO_CRC32C_TARGET uint32_t byInstruction(uint32_t before, const uint8_t* bytes, size_t length) {
  uint64_t state = static_cast<uint32_t>(~before);
  for (; length >= 3 * kLong; length -= 3 * kLong, bytes += 3 * kLong) {
    state = takeThree<kLong>(state, bytes, kLongZeros);
  }
  for (; length >= 3 * kShort; length -= 3 * kShort, bytes += 3 * kShort) {
    state = takeThree<kShort>(state, bytes, kShortZeros);
  }
  for (; length >= 8; length -= 8, bytes += 8) state = take8(state, bytes);
  for (; length > 0; length--, bytes++) state = take1(state, *bytes);
  return ~static_cast<uint32_t>(state);
}

constexpr std::array<Crc32c, 2> kKernels{{{kInstruction, byInstruction}, {"tables", byTables}}};

#else

constexpr std::array<Crc32c, 1> kKernels{{{"tables", byTables}}};
bool hasInstruction() { return true; }

#endif

}  // namespace

std::span<const Crc32c> crc32cKernels() {
  static const size_t missing = hasInstruction() ? 0 : 1;
  return std::span(kKernels).subspan(missing);
}

uint32_t crc32c(uint32_t before, const uint8_t* bytes, size_t length) {
  static const auto run = crc32cKernels().front().run;
  return run(before, bytes, length);
}

}  // namespace ismio
