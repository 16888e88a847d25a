// Fletcher-4, the checksum of a recording's blocks: four running sums of 32-bit little-endian words, each modulo 2^64.
//
// It finds what a checksum is for (flipped bits, lost, doubled and moved words) at the speed of memory on any CPU: one
// word takes four additions that do not wait for each other. It is no defence against somebody who means to deceive;
// the reader of a recording trusts nothing in it for that reason.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ismio {

using Fletcher = std::array<uint64_t, 4>;

inline uint32_t littleWord(const uint8_t* bytes) {
  uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return std::endian::native == std::endian::little ? word : __builtin_bswap32(word);
}

// Of the whole words in `length` bytes.
inline Fletcher fletcher4(const uint8_t* bytes, size_t length) {
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t c = 0;
  uint64_t d = 0;
  for (size_t at = 0; at + 4 <= length; at += 4) {
    a += littleWord(bytes + at);
    b += a;
    c += b;
    d += c;
  }
  return {a, b, c, d};
}

}  // namespace ismio
