// CRC32C against the vectors of RFC 3720 B.4, and each way to it against the definition, bit by bit.
#include "support/crc32c.h"

#include <doctest.h>

#include <numeric>
#include <random>
#include <string_view>
#include <vector>

namespace ismio {
namespace {

using Bytes = std::vector<uint8_t>;

// RFC 3720 12.1 to the letter: a division of polynomials, the lowest bit of a byte first.
uint32_t byDefinition(uint32_t before, const uint8_t* bytes, size_t length) {
  uint32_t state = ~before;
  for (size_t at = 0; at < length; at++) {
    for (int bit = 0; bit < 8; bit++) {
      const bool carries = ((state ^ (static_cast<uint32_t>(bytes[at]) >> bit)) & 1) != 0;
      state = (state >> 1) ^ (carries ? 0x82f63b78 : 0);
    }
  }
  return ~state;
}

Bytes randomBytes(size_t length, uint32_t seed) {
  std::minstd_rand random(seed);
  Bytes bytes(length);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() >> 8);
  return bytes;
}

Bytes counting(int first, int step) {
  Bytes bytes(32);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(first + step * static_cast<int>(i));
  return bytes;
}

TEST_CASE("CRC32C of the examples of RFC 3720 B.4") {
  const Bytes read{0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                   0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
                   0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  const std::string_view digits = "123456789";
  const std::vector<std::pair<Bytes, uint32_t>> examples{
      {Bytes(32, 0x00), 0x8a9136aa},
      {Bytes(32, 0xff), 0x62a8ab43},
      {counting(0, 1), 0x46dd794e},
      {counting(31, -1), 0x113fdb5c},
      {read, 0xd9963a56},
      {Bytes{}, 0},
      {Bytes(digits.begin(), digits.end()), 0xe3069283},
  };
  for (const Crc32c& kernel : crc32cKernels()) {
    CAPTURE(kernel.name);
    for (const auto& [bytes, expected] : examples) CHECK(kernel.run(0, bytes.data(), bytes.size()) == expected);
  }
}

TEST_CASE("each way to CRC32C gives what the definition gives, at every alignment and around every stretch") {
  const Bytes bytes = randomBytes(70'000, 1);
  std::vector<size_t> lengths(100);
  std::iota(lengths.begin(), lengths.end(), 0);
  for (const size_t around : {504U, 512U, 1008U, 4080U, 4096U, 4584U, 8160U, 65'536U}) {
    for (size_t length = around - 9; length <= around + 9; length++) lengths.push_back(length);
  }
  for (const size_t length : lengths) {
    const size_t shift = length % 17;
    const uint32_t expected = byDefinition(0, bytes.data() + shift, length);
    for (const Crc32c& kernel : crc32cKernels()) {
      CAPTURE(kernel.name);
      CAPTURE(length);
      CHECK(kernel.run(0, bytes.data() + shift, length) == expected);
    }
    CHECK(crc32c(0, bytes.data() + shift, length) == expected);
  }
}

TEST_CASE("CRC32C of two parts, one behind the other, is that of the whole") {
  const Bytes bytes = randomBytes(9000, 2);
  for (const Crc32c& kernel : crc32cKernels()) {
    const uint32_t whole = kernel.run(0, bytes.data(), bytes.size());
    for (size_t cut = 0; cut <= bytes.size(); cut += 777) {
      CHECK(kernel.run(kernel.run(0, bytes.data(), cut), bytes.data() + cut, bytes.size() - cut) == whole);
    }
  }
}

TEST_CASE("tables are always among the ways to CRC32C, behind the CPU's own") {
  CHECK(std::string_view(crc32cKernels().back().name) == "tables");
}

}  // namespace
}  // namespace ismio
