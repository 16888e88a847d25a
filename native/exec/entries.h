// What the entries of a ring say. Nothing in them is believed before it was looked at here.
#pragma once

#include <bit>
#include <cstdint>

#include "exec/sources.h"
#include "wire/wire.h"

namespace ismio {

struct Ring {
  wire::Header* header;
  wire::Entry* entries;
  uint32_t depth;

  // Indices count for ever; depth is a power of two.
  wire::Entry& at(uint32_t index) const { return entries[index & (depth - 1)]; }
};

// Offsets and lengths cross as float64. Anything but a whole number below 2^53 was not written by this package.
// (Signed on the way, because a conversion to unsigned takes three times as long.)
inline bool whole(double number, uint64_t& value) {
  if (!(number >= 0 && number < 0x1p53)) return false;
  const auto converted = static_cast<int64_t>(number);
  value = static_cast<uint64_t>(converted);
  return static_cast<double>(converted) == number;
}

inline constexpr uint32_t kStoreWord = static_cast<uint32_t>(wire::Opcode::store) | 8 << 8;

// A store's value becomes bytes in the order of their addresses, least significant first.
inline uint8_t* valueBytes(wire::Entry& entry) {
  if constexpr (std::endian::native == std::endian::big) {
    entry.value.low = __builtin_bswap32(entry.value.low);
    entry.value.high = __builtin_bswap32(entry.value.high);
  }
  return reinterpret_cast<uint8_t*>(&entry.value);
}

// A length that is none fits no region.
inline uint64_t lengthOf(const wire::Entry& entry) {
  if (entry.kind() == wire::Opcode::store) return entry.width();
  if (entry.kind() == wire::Opcode::fence) return 0;
  uint64_t length = 0;
  return whole(entry.length, length) ? length : UINT64_MAX;
}

inline bool isWrite(const wire::Entry& entry) {
  return entry.kind() == wire::Opcode::store || entry.kind() == wire::Opcode::write;
}

// The bytes of a write, or the target of a load; null where the entry names no such memory.
inline uint8_t* bytesOf(const Sources& sources, const wire::Entry& entry, uint64_t length) {
  uint64_t position = 0;
  const Memory* memory = sources.at(entry.source);
  if (memory == nullptr || !whole(entry.position, position)) return nullptr;
  if (position > memory->size() || length > memory->size() - position) return nullptr;
  return memory->base() + position;
}

}  // namespace ismio
