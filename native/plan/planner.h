// The planner: rules and a range in, legal stores out. Pure; no memory, no device.
//
// `next` answers one question: what is the longest legal store at the start of what remains? Cutting there, again and
// again, issues the fewest stores, because every legal store lies inside one cut of this greedy chain or ends before it
// does (a store that starts later never reaches further). Where the cut falls depends on `remaining` only for the last
// stores of a range, so a range that still grows at its end can be cut as it comes in: the merger relies on that.
//
// Where a strict function has no single stores, a word that is left alone is lost: the block before it gives one up.
//
//     maxStoreBlock 128, 136 bytes      |------ 128 ------|8|      cannot be done
//                                       |----- 120 -----|--16--|   the same two, each a block
//
// Blocks never leave their window, so each window's part of a range stands for itself: of n words it takes ceil(n / m)
// blocks of at most m, which is as few as there can be, unless n is 1, or m is 2 and n odd. `possible` says which.
#pragma once

#include <bit>
#include <cstdint>

#include "access/rules.h"

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

constexpr uint64_t toBoundary(const Rules& rules, uint64_t offset) {
  return rules.boundary - (offset & (rules.boundary - 1));
}

// The longest whole block that a strict function takes.
constexpr uint64_t longestWords(const Rules& rules) { return rules.maxStoreBlock & ~uint64_t{7}; }

// Where strict store blocks are all there is: the longest one that leaves no word alone.
constexpr Piece nextBlock(const Rules& rules, uint64_t offset, uint64_t remaining) {
  const uint64_t part = least(toBoundary(rules, offset), remaining);
  const uint64_t longest = longestWords(rules);
  const uint64_t length = part <= longest ? part : part == longest + 8 ? longest - 8 : longest;
  return {offset, static_cast<uint32_t>(length), true};
}

// Everywhere else: the longest legal store.
constexpr Piece nextStore(const Rules& rules, uint64_t offset, uint64_t remaining) {
  const uint64_t reach = least(least(rules.maxStoreBlock, toBoundary(rules, offset)), remaining);
  if (rules.alignment == Alignment::relaxed) return {offset, static_cast<uint32_t>(reach), true};
  if (offset % 8 == 0) {
    const uint64_t words = reach & ~uint64_t{7};
    if (words > 8) return {offset, static_cast<uint32_t>(words), true};
  }
  return {offset, accessWidth(offset, remaining), false};
}

constexpr Piece next(const Rules& rules, uint64_t offset, uint64_t remaining) {
  return rules.blocksOnly() ? nextBlock(rules, offset, remaining) : nextStore(rules, offset, remaining);
}

// Whether legal stores can carry the range at all; else `next` cuts it into pieces of which one is not legal.
constexpr bool possible(const Rules& rules, uint64_t offset, uint64_t length) {
  if (!rules.blocksOnly() || length == 0) return true;
  if ((offset | length) % 8 != 0) return false;
  const auto carried = [&](uint64_t part) { return part != 8 && (longestWords(rules) > 16 || part % 16 == 0); };
  const uint64_t head = least(toBoundary(rules, offset), length);
  const uint64_t tail = (length - head) & (rules.boundary - 1);
  return carried(head) && carried(tail);
}

}  // namespace ismio
