// CRC32C (Castagnoli, RFC 3720 12.1): the digest of data on their way. By the CPU's instruction where it has one, else
// by tables; bytes give the same number on every CPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ismio {

// Of `before`, the CRC32C of what came before (0 of nothing), with these bytes behind it.
uint32_t crc32c(uint32_t before, const uint8_t* bytes, size_t length);

// One way to do it.
struct Crc32c {
  const char* name;
  uint32_t (*run)(uint32_t before, const uint8_t* bytes, size_t length);
};

// Those that this CPU can, the fastest first.
std::span<const Crc32c> crc32cKernels();

}  // namespace ismio
