// The checksum of a recording's blocks: Fletcher's sums in four lanes, so that it runs at the speed of memory on any
// CPU.
//
// The 32-bit little-endian words go round the lanes, the k-th to lane k mod 4. A lane keeps two sums modulo 2^64: of
// its words, and of the first sum after each word. The checksum is the four second sums. In them the i-th of a lane's n
// words weighs n - i; a changed word or two that were swapped change their sum by less than 2^64, and so are always
// found. It is no defence against somebody who means to deceive; the reader of a recording trusts nothing in it for
// that reason.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ismio {

class Fletcher {
 public:
  using Sums = std::array<uint64_t, 4>;

  // The bytes that follow, in whole groups of four words; what is over of a group is left out.
  void add(const uint8_t* bytes, size_t length) {
    for (size_t at = 0; at + sizeof(Pair) <= length; at += sizeof(Pair)) {
      Pair words;
      std::memcpy(&words, bytes + at, sizeof words);
      if constexpr (std::endian::native == std::endian::big) {
        words = Pair{__builtin_bswap64(words[0]), __builtin_bswap64(words[1])};
      }
      evenFirst_ += words & UINT32_MAX;
      oddFirst_ += words >> 32;
      even_ += evenFirst_;
      odd_ += oddFirst_;
    }
  }
  Sums get() const { return {even_[0], odd_[0], even_[1], odd_[1]}; }

 private:
  // Two of 64 bits: 16 bytes are what vector registers have everywhere. One has lanes 0 and 2, the other 1 and 3.
  using Pair = uint64_t __attribute__((vector_size(16)));
  Pair evenFirst_{};
  Pair oddFirst_{};
  Pair even_{};
  Pair odd_{};
};

}  // namespace ismio
