// The planner: rules and a range in, legal stores out. Pure; no memory, no device.
//
// `next` answers one question: what is the longest legal store at the start of what remains? Cutting there, again and
// again, issues the fewest stores, because every legal store lies inside one cut of this greedy chain or ends before it
// does (a store that starts later never reaches further). Where the cut falls depends on `remaining` only for the last
// stores of a range, so a range that still grows at its end can be cut as it comes in: the merger relies on that.
#pragma once

#include <bit>
#include <cstdint>

#include "plan/rules.h"

namespace ismio {

struct Piece {
  uint64_t offset;
  uint32_t length;
  bool block;  // one store block; else one store of 1, 2, 4 or 8 bytes, naturally aligned
};

inline constexpr uint64_t kUnlimited = UINT64_MAX;

constexpr uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

// The widest naturally aligned access of 1, 2, 4 or 8 bytes at `offset` within `remaining` (at least 1) bytes.
constexpr uint32_t accessWidth(uint64_t offset, uint64_t remaining) {
  const uint64_t marked = offset | 8;
  const uint64_t aligned = marked & (0 - marked);  // its lowest set bit: 1, 2, 4 or 8
  const uint64_t fits = remaining >= 8 ? 8 : std::bit_floor(remaining);
  return static_cast<uint32_t>(least(aligned, fits));
}

constexpr Piece next(const Rules& rules, uint64_t offset, uint64_t remaining) {
  const uint64_t toBoundary = rules.boundary - (offset & (rules.boundary - 1));
  const uint64_t reach = least(least(rules.maxStoreBlock, toBoundary), remaining);
  if (rules.alignment == Alignment::relaxed) return {offset, static_cast<uint32_t>(reach), true};
  if (offset % 8 == 0) {
    const uint64_t words = reach & ~uint64_t{7};
    if (words > 8) return {offset, static_cast<uint32_t>(words), true};
  }
  return {offset, accessWidth(offset, remaining), false};
}

}  // namespace ismio
