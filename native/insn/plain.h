// Plain loads and stores on a mapping, for every CPU whose ordinary instructions reach the device.
//
// The volatile accesses below are one instruction each: the compiler may neither merge nor widen nor drop them. On the
// memory side std::memcpy of a constant size is a plain, possibly unaligned move.
#pragma once

#include <cstdint>
#include <cstring>

#include "insn/mmio.h"
#include "plan/planner.h"

namespace ismio::plain {

template <class Word>
inline void storeOne(uint8_t* address, const uint8_t* source) {
  Word word;
  std::memcpy(&word, source, sizeof word);
  *reinterpret_cast<volatile Word*>(address) = word;
}

template <class Word>
inline void loadOne(const uint8_t* address, uint8_t* target) {
  const Word word = *reinterpret_cast<const volatile Word*>(address);
  std::memcpy(target, &word, sizeof word);
}

inline void storeAny(uint8_t* address, const uint8_t* source, uint32_t width) {
  switch (width) {
    case 8: return storeOne<uint64_t>(address, source);
    case 4: return storeOne<uint32_t>(address, source);
    case 2: return storeOne<uint16_t>(address, source);
    default: return storeOne<uint8_t>(address, source);
  }
}

inline Status store(uint8_t* address, const uint8_t* source, uint32_t width, Failure&) {
  storeAny(address, source, width);
  return Status::ok;
}

inline Status load(const uint8_t* address, uint8_t* target, uint32_t width, Failure&) {
  switch (width) {
    case 8: loadOne<uint64_t>(address, target); break;
    case 4: loadOne<uint32_t>(address, target); break;
    case 2: loadOne<uint16_t>(address, target); break;
    default: loadOne<uint8_t>(address, target); break;
  }
  return Status::ok;
}

// Eight words a turn: the loop's own instructions would otherwise cost as much as the accesses.
inline void storeRun(uint8_t* address, const uint8_t* source, uint64_t words) {
  for (; words >= 8; words -= 8, address += 64, source += 64) {
    for (int i = 0; i < 64; i += 8) storeOne<uint64_t>(address + i, source + i);
  }
  for (; words > 0; words--, address += 8, source += 8) storeOne<uint64_t>(address, source);
}

inline Status loadWords(const uint8_t* address, uint8_t* target, uint64_t words, uint64_t& done, Failure&) {
  done = words;
  for (; words >= 8; words -= 8, address += 64, target += 64) {
    for (int i = 0; i < 64; i += 8) loadOne<uint64_t>(address + i, target + i);
  }
  for (; words > 0; words--, address += 8, target += 8) loadOne<uint64_t>(address, target);
  return Status::ok;
}

// Naturally aligned stores that carry `length` bytes up to the next multiple of `unit` (8 or 64), or to their end.
template <class Body>
inline void storeAligned(uint8_t* address, const uint8_t* source, uint64_t length, uint64_t unit, Body&& body) {
  const auto narrow = [&](uint64_t bytes) {
    while (bytes > 0) {
      const uint32_t width = accessWidth(reinterpret_cast<uintptr_t>(address), bytes);
      storeAny(address, source, width);
      address += width;
      source += width;
      length -= width;
      bytes -= width;
    }
  };
  const uint64_t head = (0 - reinterpret_cast<uintptr_t>(address)) & (unit - 1);
  narrow(head < length ? head : length);
  const uint64_t units = length / unit;
  body(address, source, units);
  address += units * unit;
  source += units * unit;
  length -= units * unit;
  narrow(length);
}

inline Status storeBlock(uint8_t* address, const uint8_t* source, uint32_t length, Failure&) {
  storeAligned(address, source, length, 8, storeRun);
  return Status::ok;
}

// For kind 'memory': the library's copy.
inline Status copyWords(const uint8_t* address, uint8_t* target, uint64_t words, uint64_t& done, Failure&) {
  std::memcpy(target, address, words * 8);
  done = words;
  return Status::ok;
}

inline Status copyBlock(uint8_t* address, const uint8_t* source, uint32_t length, Failure&) {
  std::memcpy(address, source, length);
  return Status::ok;
}

constexpr Mmio memoryMmio(void (*fence)()) { return {"memory copy", true, load, copyWords, store, copyBlock, fence}; }

}  // namespace ismio::plain
