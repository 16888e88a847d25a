// Series: what becomes of them is what would become of their stores if each had an entry of its own.
#include "exec/series.h"

#include <doctest.h>

#include "support/batch.h"
#include "support/random.h"

namespace ismio {
namespace {

using test::Batch;
using test::Random;

constexpr Rules kIsm{};
constexpr uint64_t kSize = 512;

std::vector<uint64_t> counting(uint64_t count) {
  std::vector<uint64_t> words(count);
  for (uint64_t i = 0; i < count; i++) words[i] = i * 0x0101'0101'0000'0001;
  return words;
}

std::vector<uint8_t> bytesOf(uint64_t word) {
  std::vector<uint8_t> bytes(8);
  for (int b = 0; b < 8; b++) bytes[b] = static_cast<uint8_t>(word >> 8 * b);
  return bytes;
}

void requireSame(const wire::Outcome& a, const wire::Outcome& b) {
  REQUIRE(a.offset == b.offset);
  REQUIRE(a.length == b.length);
  REQUIRE(a.done == b.done);
  REQUIRE(a.opcode == b.opcode);
  REQUIRE(a.state == b.state);
}

void requireSame(const Totals& a, const Totals& b) {
  REQUIRE(a.stores == b.stores);
  REQUIRE(a.storeBlocks == b.storeBlocks);
  REQUIRE(a.bytes == b.bytes);
  REQUIRE(a.copies == b.copies);
  REQUIRE(a.merged == b.merged);
  REQUIRE(a.retries == b.retries);
  REQUIRE(a.errors == b.errors);
}

void requireSame(const Report& a, const Report& b) {
  REQUIRE(a.failure.status == b.failure.status);
  REQUIRE(a.operations == b.operations);
  REQUIRE(a.unfinished == b.unfinished);
  requireSame(a.moved, b.moved);
  if (a.failure.status == Status::ok) return;
  REQUIRE(a.index == b.index);
  REQUIRE(a.failure.offset == b.failure.offset);
  REQUIRE(a.failure.length == b.failure.length);
  REQUIRE(a.failure.done == b.failure.done);
  REQUIRE(a.failure.tries == b.failure.tries);
  for (uint32_t i = a.unfinished; i < a.operations; i++) requireSame(Batch::outcome(a, i), Batch::outcome(b, i));
}

// The same stores twice, the second time as series.
class Twice {
 public:
  Twice(Random& random, const Rules& rules, Merge merge, bool relaxed, uint64_t together)
      : single(rules, merge, relaxed, kSize, together), joined(rules, merge, relaxed, kSize, together) {
    const uint64_t most = random.oneIn(2) ? 10 : Batch::kDepth - 10;
    for (const uint64_t wanted = random.between(1, most); single.operations.size() < wanted;) part(random);
  }

  Batch single;
  Batch joined;

 private:
  void part(Random& random) {
    if (random.oneIn(4)) return write(random);
    constexpr int64_t kSteps[] = {8, 8, 8, 16, 40, 0, -8, -24};
    const int64_t step = kSteps[random.below(std::size(kSteps))];
    const uint64_t first = random.oneIn(3) ? random.below(kSize / 8) * 8 : following_ % kSize;
    const uint64_t count = random.between(1, 9);
    std::vector<uint64_t> words;
    for (uint64_t at = first; words.size() < count && at < kSize; at += step) {
      words.push_back(random.below(UINT64_MAX));
      single.store(at, bytesOf(words.back()));
    }
    if (words.empty()) return;
    joined.series(first, step, words, random.oneIn(2));
    following_ = first + (words.size() - 1) * step + 8;
  }

  void write(Random& random) {
    const uint64_t first = random.oneIn(2) ? random.below(kSize - 40) : following_ % (kSize - 40);
    const std::vector<uint8_t> bytes = random.bytes(random.between(1, 40));
    single.write(first, bytes);
    joined.write(first, bytes);
    following_ = (first + bytes.size() + 7) & ~uint64_t{7};
  }

  uint64_t following_ = 0;
};

void failBoth(Twice& twice, Random& random) {
  constexpr Status kAnswers[] = {Status::deviceError, Status::regionLost, Status::busy};
  const uint64_t nth = random.between(1, random.oneIn(2) ? 10 : 100);
  const Status answer = kAnswers[random.below(std::size(kAnswers))];
  const uint64_t times = random.oneIn(2) ? 2 : kBusyTries;
  for (Batch* batch : {&twice.single, &twice.joined}) batch->device.failAt(nth, answer, times);
}

TEST_CASE("random batches with series and without: the same accesses, counts and outcomes") {
  Random random(20261129);
  uint64_t failures = 0;
  for (int i = 0; i < test::scaled(4'000); i++) {
    const auto merge = static_cast<Merge>(random.below(3));
    const bool relaxed = random.oneIn(2);
    Rules rules = random.smallRules();
    Twice twice(random, rules, merge, relaxed, random.oneIn(2) ? 1 : 512);
    if (random.oneIn(2)) failBoth(twice, random);
    twice.joined.refill();
    CAPTURE(i);
    const Report single = twice.single.run();
    const Report joined = twice.joined.run();
    REQUIRE(twice.joined.device.told() == twice.single.device.told());
    REQUIRE(twice.joined.device.memory == twice.single.device.memory);
    requireSame(joined, single);
    failures += single.failure.status != Status::ok;
  }
  CHECK(failures > static_cast<uint64_t>(test::scaled(500)));  // else this would have compared successes alone
}

TEST_CASE("a failure is told of a series of which something was still gathered when a later one had ended") {
  Batch batch({4096, 4096, Alignment::relaxed, true}, Merge::adjacent, false);
  for (uint64_t i = 0; i < 62; i++) batch.store(i * 16, bytesOf(i));
  batch.series(4080, 8, counting(4));  // its first two words are a block: there is a boundary at 4096
  batch.series(4112, 8, counting(64));
  batch.store(16'384, bytesOf(1));
  batch.device.failAt(64, Status::deviceError);
  batch.refill();
  const Report report = batch.run();
  CHECK(report.unfinished == 64);
  CHECK(report.index == 64);
  for (uint32_t i = 64; i < 130; i++) {
    CHECK(Batch::outcome(report, i).offset == 4096 + 8 * (i - 64));
    CHECK(static_cast<wire::State>(Batch::outcome(report, i).state) == wire::State::failed);
  }
  CHECK(static_cast<wire::State>(Batch::outcome(report, 130).state) == wire::State::skipped);
}

TEST_CASE("without single stores a series is refused, or goes out in blocks, as its stores would") {
  Rules rules{128, 4096, Alignment::strict, false};
  Random random(20261130);
  for (int i = 0; i < 2'000; i++) {
    const auto merge = static_cast<Merge>(random.below(3));
    Twice twice(random, rules, merge, random.oneIn(2), 1);
    const Report single = twice.single.run();
    const Report joined = twice.joined.run();
    REQUIRE(twice.joined.device.told() == twice.single.device.told());
    requireSame(joined, single);
  }
}

TEST_CASE("half a word may come first or last") {
  for (const bool highFirst : {false, true}) {
    for (const Merge merge : {Merge::none, Merge::adjacent}) {
      for (const bool relaxed : {false, true}) {
        Batch batch(kIsm, merge, relaxed, kSize);
        batch.series(8, 8, {0x0807'0605'0403'0201, 0x100f'0e0d'0c0b'0a09}, highFirst);
        batch.run();
        for (uint8_t i = 1; i <= 16; i++) REQUIRE(batch.device.memory[7 + i] == i);
      }
    }
  }
}

TEST_CASE(
    "of a series that leaves the region, or the raster, the stores before are done and the first that does is told") {
  struct Case {
    double offset;
    double step;
    uint32_t index;
  };
  const Case cases[] = {{kSize - 24, 8, 3}, {16, -8, 3}, {0, 4, 1},    {kSize, 8, 0},
                        {4, 8, 0},          {0, 0.5, 1}, {0, 1e300, 1}};
  for (const Case& one : cases) {
    for (const Merge merge : {Merge::none, Merge::adjacent, Merge::any}) {
      CAPTURE(one.offset);
      CAPTURE(one.step);
      Batch batch(kIsm, merge, false, kSize);
      batch.series(0, 8, counting(6));
      batch.entry(0).offset = one.offset;
      batch.entry(0).step = one.step;
      const Report report = batch.run();
      CHECK(report.failure.status != Status::ok);
      CHECK(report.index == one.index);
      uint64_t bytes = 0;
      for (const auto& access : batch.device.taken) bytes += access.length;
      CHECK(bytes == (merge == Merge::none ? one.index * uint64_t{8} : report.moved.bytes));
    }
  }
}

TEST_CASE("a series of no entries, or of more than the batch or the ring has, is refused") {
  for (const uint32_t count : {0u, 3u, Batch::kDepth + 1, UINT32_MAX}) {
    for (const bool relaxed : {false, true}) {
      Batch batch(kIsm, Merge::any, relaxed, kSize);
      batch.series(0, 8, counting(2));
      batch.entry(0).count = count;
      const Report report = batch.run();
      CHECK(report.failure.status != Status::ok);
      CHECK(report.index == 0);
      CHECK(batch.device.taken.empty());
    }
  }
}

TEST_CASE("a series unfolds into its stores, and what is around it stays") {
  Batch batch(kIsm, Merge::none, false, kSize);
  batch.store(64, std::vector<uint8_t>(8, 1));
  batch.series(16, 24, {0x0000'0002'0000'0001, 0x0000'0004'0000'0003, 0x0000'0006'0000'0005});
  batch.fence();
  batch.unfold();
  for (uint32_t i = 0; i < 3; i++) {
    const wire::Entry& entry = batch.entry(1 + i);
    CHECK(entry.opcode == kStoreWord);
    CHECK(entry.offset == 16 + 24 * i);
    CHECK(entry.value.low == 2 * i + 1);
    CHECK(entry.value.high == 2 * i + 2);
  }
  CHECK(batch.entry(0).offset == 64);
  CHECK(batch.entry(4).kind() == wire::Opcode::fence);
  batch.run();
  CHECK(batch.device.told() == "S64+8 S16+8 S40+8 S64+8");
}

}  // namespace
}  // namespace ismio
