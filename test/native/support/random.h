// Random cases that repeat: the seed is part of the test.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "access/rules.h"

namespace ismio::test {

// Repetitions on a machine of usual speed; fewer where ISMIO_TEST_SCALE says that instructions are emulated, as of the
// tests in TypeScript (test/support/scale.ts).
inline int scaled(int count) {
  const char* scale = getenv("ISMIO_TEST_SCALE");
  const double share = scale == nullptr ? 1 : strtod(scale, nullptr);
  return share > 0 && share < 1 ? static_cast<int>(count * share) + 1 : count;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t below(uint64_t limit) { return engine_() % limit; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool oneIn(uint64_t n) { return below(n) == 0; }

  std::vector<uint8_t> bytes(uint64_t count) {
    std::vector<uint8_t> made(count);
    for (uint8_t& byte : made) byte = static_cast<uint8_t>(engine_());
    return made;
  }

  // Rules so small that a short write meets all of them.
  Rules smallRules() {
    Rules rules;
    rules.maxStoreBlock = static_cast<uint32_t>(between(8, 40));
    rules.boundary = 8u << below(4);
    rules.alignment = oneIn(2) ? Alignment::strict : Alignment::relaxed;
    return rules;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace ismio::test
