// What is asked of a region: stores by the word and by the block, many at a time, and fences.
#pragma once

#include <cstdint>

namespace ismio {

// One 8-byte store of many.
struct Word {
  uint64_t offset;
  uint64_t bytes;  // in the order of their addresses
};

// One store block of many.
struct Block {
  uint64_t offset;
  const uint8_t* source;
  uint32_t length;
};

enum class Kind : uint8_t { device, memory };

// What a fence is for. Shared with src/addon/wire.ts by value.
enum class Fence : uint8_t {
  full = 0,            // every store before it before any access after it
  beforeDoorbell = 1,  // every store before it before any store after it
  afterStatus = 2,     // every load before it before any access after it
};
inline constexpr uint32_t kFences = 3;

}  // namespace ismio
