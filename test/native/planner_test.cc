// The planner: expected pieces told in prose, then an oracle that tries everything.
#include "plan/planner.h"

#include <doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/random.h"

namespace ismio {
namespace {

constexpr Rules kIsm{};
constexpr Rules kStrict{128, 4096, Alignment::strict, true};

std::string plan(const Rules& rules, uint64_t offset, uint64_t length) {
  std::string told;
  while (length > 0) {
    const Piece piece = next(rules, offset, length);
    told += told.empty() ? "" : ", ";
    told += (piece.block ? "block " : "store ") + std::to_string(offset) + "+" + std::to_string(piece.length);
    offset += piece.length;
    length -= piece.length;
  }
  return told;
}

TEST_CASE("a relaxed write that stays in its window is one store block, whatever its offset and length") {
  CHECK(plan(kIsm, 0, 4096) == "block 0+4096");
  CHECK(plan(kIsm, 1, 1) == "block 1+1");
  CHECK(plan(kIsm, 4095, 1) == "block 4095+1");
  CHECK(plan(kIsm, 123, 777) == "block 123+777");
}

TEST_CASE("a relaxed write is cut where a window ends and nowhere else") {
  CHECK(plan(kIsm, 4095, 2) == "block 4095+1, block 4096+1");
  CHECK(plan(kIsm, 10, 8192) == "block 10+4086, block 4096+4096, block 8192+10");
}

TEST_CASE("a relaxed write is cut at the longest store block where that is shorter than the window") {
  const Rules rules{100, 4096, Alignment::relaxed, true};
  CHECK(plan(rules, 0, 250) == "block 0+100, block 100+100, block 200+50");
  CHECK(plan(rules, 4000, 150) == "block 4000+96, block 4096+54");
}

TEST_CASE("a strict write goes up to a multiple of 8 in stores, then in blocks, then its end in stores") {
  CHECK(plan(kStrict, 1, 47) == "store 1+1, store 2+2, store 4+4, block 8+40");
  CHECK(plan(kStrict, 0, 47) == "block 0+40, store 40+4, store 44+2, store 46+1");
}

TEST_CASE("8 bytes of a strict write are a store, because a block has to have more; 16 are a block") {
  CHECK(plan(kStrict, 8, 8) == "store 8+8");
  CHECK(plan(kStrict, 8, 16) == "block 8+16");
  CHECK(plan(kStrict, 0, 136) == "block 0+128, store 128+8");
}

TEST_CASE("a strict block never reaches over its window") {
  CHECK(plan(kStrict, 4080, 32) == "block 4080+16, block 4096+16");
  CHECK(plan(kStrict, 4088, 24) == "store 4088+8, block 4096+16");
}

TEST_CASE("a strict store block that is no multiple of 8 is used up to the multiple below it") {
  const Rules rules{30, 4096, Alignment::strict, true};
  CHECK(plan(rules, 0, 48) == "block 0+24, block 24+24");
}

TEST_CASE("the last byte of 2^53 is planned like any other") {
  const uint64_t last = (uint64_t{1} << 53) - 1;
  CHECK(plan(kIsm, last, 1) == "block " + std::to_string(last) + "+1");
  CHECK(plan(kStrict, last - 7, 8) == "store " + std::to_string(last - 7) + "+8");
}

TEST_CASE("what a rule refuses is named, in the order in which the device looks") {
  CHECK(broken(kIsm, 0, 0) == Rule::length);
  CHECK(broken(kIsm, 0, 4097) == Rule::maxStoreBlock);
  CHECK(broken(kIsm, 1, 4096) == Rule::boundary);
  CHECK(broken(kIsm, 1, 4095) == Rule::none);
  CHECK(broken(kStrict, 0, 136) == Rule::maxStoreBlock);
  CHECK(broken(kStrict, 4088, 16) == Rule::boundary);
  CHECK(broken(kStrict, 4, 16) == Rule::offsetAlignment);
  CHECK(broken(kStrict, 0, 20) == Rule::lengthAlignment);
  CHECK(broken(kStrict, 0, 8) == Rule::length);
  CHECK(broken(kStrict, 0, 128) == Rule::none);
}

constexpr Rules kBlocks{128, 4096, Alignment::strict, true, false};

TEST_CASE("without single stores a block gives up the word that would be left alone behind it") {
  CHECK(plan(kBlocks, 0, 136) == "block 0+120, block 120+16");
  CHECK(plan(kBlocks, 0, 144) == "block 0+128, block 128+16");
  CHECK(plan(kBlocks, 4096 - 136, 136) == "block 3960+120, block 4080+16");
  CHECK(plan(kBlocks, 4080, 32) == "block 4080+16, block 4096+16");
}

TEST_CASE("without single stores a range is possible where no window has one word of it, or a part of one") {
  CHECK(possible(kBlocks, 0, 0));
  CHECK(possible(kBlocks, 1, 0));
  CHECK(possible(kBlocks, 0, 16));
  CHECK(possible(kBlocks, 4080, 4096));
  CHECK_FALSE(possible(kBlocks, 0, 8));
  CHECK_FALSE(possible(kBlocks, 0, 20));
  CHECK_FALSE(possible(kBlocks, 4, 16));
  CHECK_FALSE(possible(kBlocks, 4088, 24));  // a word before the boundary
  CHECK_FALSE(possible(kBlocks, 4080, 24));  // a word behind it
  CHECK(possible(kStrict, 4088, 24));
}

TEST_CASE("blocks of 16 bytes alone carry an even number of words and no other") {
  const Rules rules{23, 4096, Alignment::strict, true, false};
  CHECK(plan(rules, 0, 48) == "block 0+16, block 16+16, block 32+16");
  CHECK(possible(rules, 0, 48));
  CHECK_FALSE(possible(rules, 0, 40));
}

TEST_CASE("a relaxed function without single stores takes every range, in the blocks that it would take anyway") {
  const Rules rules{128, 4096, Alignment::relaxed, true, false};
  CHECK(possible(rules, 4095, 2));
  CHECK(plan(rules, 4095, 2) == "block 4095+1, block 4096+1");
}

TEST_CASE("rules that let nothing be stored are none") {
  CHECK(wellFormed({8, 8, Alignment::strict, true, true}));
  CHECK(wellFormed({16, 16, Alignment::strict, true, false}));
  CHECK(wellFormed({8, 8, Alignment::relaxed, true, false}));
  CHECK_FALSE(wellFormed({15, 4096, Alignment::strict, true, false}));
  CHECK_FALSE(wellFormed({4096, 8, Alignment::strict, true, false}));
}

// The oracle. Said again from the hardware's rules, not from the planner: which single stores are legal here.
bool legalBlock(const Rules& rules, uint64_t offset, uint64_t length) {
  if (length < 1 || length > rules.maxStoreBlock) return false;
  if (offset / rules.boundary != (offset + length - 1) / rules.boundary) return false;
  return rules.alignment == Alignment::relaxed || (offset % 8 == 0 && length % 8 == 0 && length > 8);
}

bool legalStore(uint64_t offset, uint64_t length) {
  return (length == 1 || length == 2 || length == 4 || length == 8) && offset % length == 0;
}

// The fewest legal stores that carry the range: for each end, the best of all ways to get there. UINT64_MAX: none do.
uint64_t fewest(const Rules& rules, uint64_t offset, uint64_t length) {
  std::vector<uint64_t> best(length + 1, UINT64_MAX);
  best[0] = 0;
  for (uint64_t from = 0; from < length; from++) {
    if (best[from] == UINT64_MAX) continue;
    for (uint64_t to = from + 1; to <= length; to++) {
      const bool single = rules.singleStores && legalStore(offset + from, to - from);
      if (!legalBlock(rules, offset + from, to - from) && !single) continue;
      best[to] = std::min(best[to], best[from] + 1);
    }
  }
  return best[length];
}

TEST_CASE("random writes: every byte once, in order, each piece legal, and never more pieces than needed") {
  test::Random random(20260101);
  for (int i = 0; i < test::scaled(200'000); i++) {
    const Rules rules = random.smallRules();
    const uint64_t offset = random.below(200);
    const uint64_t length = random.between(1, 80);
    uint64_t pieces = 0;
    for (uint64_t at = offset, left = length; left > 0; pieces++) {
      const Piece piece = next(rules, at, left);
      REQUIRE(piece.offset == at);
      REQUIRE(piece.length >= 1);
      REQUIRE(piece.length <= left);
      REQUIRE((piece.block ? legalBlock(rules, at, piece.length) : legalStore(at, piece.length)));
      at += piece.length;
      left -= piece.length;
    }
    REQUIRE(pieces == fewest(rules, offset, length));
  }
}

TEST_CASE("random writes without single stores: the fewest blocks there can be, or said to be impossible") {
  test::Random random(20260102);
  uint64_t impossible = 0;
  for (int i = 0; i < test::scaled(200'000); i++) {
    Rules rules = random.smallRules();
    rules.singleStores = false;
    if (!wellFormed(rules)) continue;
    const uint64_t unit = random.oneIn(8) ? 1 : 8;
    const uint64_t offset = random.below(200 / unit) * unit;
    const uint64_t length = random.between(1, 160 / unit) * unit;
    const uint64_t least = fewest(rules, offset, length);
    REQUIRE(possible(rules, offset, length) == (least != UINT64_MAX));
    if (least == UINT64_MAX) {
      impossible++;
      continue;
    }
    uint64_t pieces = 0;
    for (uint64_t at = offset, left = length; left > 0; pieces++) {
      const Piece piece = next(rules, at, left);
      REQUIRE(piece.block);
      REQUIRE(legalBlock(rules, at, piece.length));
      at += piece.length;
      left -= piece.length;
    }
    REQUIRE(pieces == least);
  }
  CHECK(impossible > static_cast<uint64_t>(test::scaled(10'000)));
}

TEST_CASE("a rule is named exactly where a store block is illegal") {
  test::Random random(7);
  for (int i = 0; i < test::scaled(100'000); i++) {
    const Rules rules = random.smallRules();
    const uint64_t offset = random.below(130);
    const uint64_t length = random.below(70);
    REQUIRE((broken(rules, offset, length) == Rule::none) == legalBlock(rules, offset, length));
  }
}

}  // namespace
}  // namespace ismio
