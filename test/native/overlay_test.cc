// The overlay against a slow picture of it: one byte after the other, the last write wins.
#include "exec/overlay.h"

#include <doctest.h>

#include <algorithm>
#include <map>

#include "support/random.h"

namespace ismio {
namespace {

using Picture = std::map<uint64_t, uint8_t>;

struct Write {
  uint64_t offset;
  std::vector<uint8_t> bytes;
};

Overlay overlayOf(const std::vector<Write>& writes) {
  Overlay overlay;
  for (const Write& write : writes) {
    overlay.add(write.offset, write.bytes.size(), write.bytes.data(), false);
  }
  return overlay;
}

// What the fragments say, checked on the way: ascending, disjoint, none of them empty.
Picture pictureOf(const std::vector<Fragment>& fragments) {
  Picture picture;
  uint64_t end = 0;
  for (const Fragment& fragment : fragments) {
    REQUIRE(fragment.length > 0);
    REQUIRE(fragment.offset >= end);
    end = fragment.offset + fragment.length;
    for (uint64_t i = 0; i < fragment.length; i++) picture[fragment.offset + i] = fragment.bytes[i];
  }
  return picture;
}

Picture lastWriterWins(const std::vector<Write>& writes) {
  Picture picture;
  for (const Write& write : writes) {
    for (uint64_t i = 0; i < write.bytes.size(); i++) picture[write.offset + i] = write.bytes[i];
  }
  return picture;
}

TEST_CASE("writes that do not touch come out in ascending order") {
  const std::vector<Write> writes = {{20, {3, 4}}, {0, {1}}, {10, {2}}};
  Overlay overlay = overlayOf(writes);
  const auto& fragments = overlay.resolve();
  REQUIRE(fragments.size() == 3);
  CHECK(fragments[0].offset == 0);
  CHECK(fragments[1].offset == 10);
  CHECK(fragments[2].offset == 20);
  CHECK(overlay.empty());
}

TEST_CASE("a later write in the middle of an earlier one leaves both its sides") {
  const std::vector<Write> writes = {{0, {1, 1, 1, 1, 1}}, {2, {9}}};
  Overlay overlay = overlayOf(writes);
  CHECK(pictureOf(overlay.resolve()) == Picture{{0, 1}, {1, 1}, {2, 9}, {3, 1}, {4, 1}});
}

TEST_CASE("an earlier write under a later one is not seen at all") {
  const std::vector<Write> writes = {{2, {9}}, {0, {1, 1, 1, 1, 1}}};
  Overlay overlay = overlayOf(writes);
  CHECK(pictureOf(overlay.resolve()) == Picture{{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}});
}

TEST_CASE("an overlay that was resolved starts anew") {
  const std::vector<Write> first = {{0, {1}}};
  Overlay overlay = overlayOf(first);
  overlay.resolve();
  const std::vector<uint8_t> bytes = {7};
  overlay.add(5, 1, bytes.data(), true);
  CHECK(pictureOf(overlay.resolve()) == Picture{{5, 7}});
}

TEST_CASE("a store stays a store only where all of it is seen") {
  const std::vector<uint8_t> bytes(8, 1);
  Overlay overlay;
  overlay.add(0, 8, bytes.data(), true);
  overlay.add(8, 8, bytes.data(), true);
  overlay.add(12, 2, bytes.data(), false);
  const auto& fragments = overlay.resolve();
  REQUIRE(fragments.size() == 4);
  CHECK(fragments[0].scalar);
  CHECK_FALSE(fragments[1].scalar);
  CHECK_FALSE(fragments[2].scalar);
  CHECK_FALSE(fragments[3].scalar);
}

const uint8_t elsewhere[64] = {};

TEST_CASE("a load waits for a write whose source it would overwrite, and for no other") {
  const std::vector<uint8_t> bytes(16, 1);
  Overlay overlay;
  overlay.add(100, 4, bytes.data() + 4, false);
  CHECK(overlay.meets(0, bytes.data(), 5));
  CHECK(overlay.meets(0, bytes.data() + 7, 1));
  CHECK_FALSE(overlay.meets(0, bytes.data(), 4));
  CHECK_FALSE(overlay.meets(0, bytes.data() + 8, 8));
  overlay.discard();
  CHECK_FALSE(overlay.meets(0, bytes.data(), 16));
}

TEST_CASE("a load waits for a write that it would see, and for no other") {
  const std::vector<Write> writes = {{10, {1, 2, 3}}};
  Overlay overlay = overlayOf(writes);
  CHECK(overlay.meets(12, elsewhere, 1));
  CHECK(overlay.meets(0, elsewhere, 11));
  CHECK_FALSE(overlay.meets(13, elsewhere, 5));
  CHECK_FALSE(overlay.meets(0, elsewhere, 10));
}

TEST_CASE("however many loads there were, one waits for the same writes as a look at all of them says") {
  test::Random random(7);
  std::vector<uint8_t> source(4'096);
  for (int i = 0; i < 300; i++) {
    Overlay overlay;
    std::vector<Fragment> writes;
    for (int step = 0; step < 200; step++) {
      const uint64_t length = random.between(1, 12);
      if (random.oneIn(2)) {
        const Fragment write{random.below(2'000), length, source.data() + random.below(4'000), false};
        overlay.add(write.offset, write.length, write.bytes, false);
        writes.push_back(write);
        continue;
      }
      const uint64_t offset = random.below(2'000);
      const uint8_t* target = source.data() + random.below(4'000);
      const bool waits = std::any_of(writes.begin(), writes.end(), [&](const Fragment& write) {
        return (offset < write.offset + write.length && write.offset < offset + length) ||
               (target < write.bytes + write.length && write.bytes < target + length);
      });
      REQUIRE(overlay.meets(offset, target, length) == waits);
      if (!random.oneIn(40)) continue;
      overlay.resolve();
      writes.clear();
    }
  }
}

TEST_CASE("random sets of writes: byte by byte, the last writer wins") {
  test::Random random(42);
  for (int i = 0; i < test::scaled(20'000); i++) {
    std::vector<Write> writes(random.between(1, 12));
    for (Write& write : writes) write = {random.below(60), random.bytes(random.between(1, 20))};
    Overlay overlay = overlayOf(writes);
    REQUIRE(pictureOf(overlay.resolve()) == lastWriterWins(writes));
  }
}

}  // namespace
}  // namespace ismio
