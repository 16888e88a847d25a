// After a failure every operation is told what became of it. Here a slow oracle judges that, for random batches in
// every merge mode: it applies to a picture of the device exactly the bytes that were told done, in program order.
#include <doctest.h>

#include <algorithm>

#include "support/batch.h"
#include "support/random.h"

namespace ismio {
namespace {

using test::Batch;
using test::Operation;
using test::Random;

constexpr uint64_t kSize = 256;

bool writes(const Operation& operation) {
  return operation.kind == wire::Opcode::store || operation.kind == wire::Opcode::write;
}

struct Outcome {
  wire::State state;
  uint64_t done;
};

Outcome outcomeOf(const Batch& batch, const Report& report, uint32_t index) {
  const uint64_t length = batch.operations[index].bytes.size();
  if (report.failure.status == Status::ok || index < report.unfinished) return {wire::State::done, length};
  const wire::Outcome& told = Batch::outcome(report, index);
  const Operation& operation = batch.operations[index];
  REQUIRE(told.opcode == static_cast<uint32_t>(operation.kind));
  REQUIRE(told.offset == static_cast<double>(operation.offset));
  REQUIRE(told.length == static_cast<double>(length));
  return {static_cast<wire::State>(told.state), static_cast<uint64_t>(told.done)};
}

// Where the next store would go on with it.
uint64_t seriesAtRandom(Batch& batch, Random& random, uint64_t following) {
  constexpr int64_t kSteps[] = {8, 8, 8, 8, 16, 24, 0, -8, -16};
  const int64_t step = kSteps[random.below(std::size(kSteps))];
  const uint64_t places = kSize / 8;
  uint64_t at = (random.oneIn(3) ? random.below(places) : following / 8) * 8;
  std::vector<uint64_t> words;
  const uint64_t count = random.between(1, 16);
  for (uint64_t last = at; words.size() < count && last < kSize; last += step) {
    const std::vector<uint8_t> bytes = random.bytes(8);
    words.push_back(0);
    for (const uint8_t byte : bytes) words.back() = words.back() << 8 | byte;
  }
  batch.series(at, step, words, random.oneIn(2));
  return at + (words.size() - 1) * step + 8;
}

void fillAtRandom(Batch& batch, Random& random) {
  uint64_t following = 0;
  const uint64_t count = random.between(1, 24);
  const bool mostlyWords = random.oneIn(3);
  for (uint64_t i = 0; i < count && batch.operations.size() < Batch::kDepth - 16; i++) {
    if (random.oneIn(8)) {
      following = seriesAtRandom(batch, random, following % kSize);
      continue;
    }
    const uint64_t choice = mostlyWords ? random.below(4) : random.below(10);
    const bool follows = random.below(3) != 0;
    if (choice < 4) {
      const uint64_t width = mostlyWords ? 8 : uint64_t{1} << random.below(4);
      const uint64_t offset = (follows ? following % kSize : random.below(kSize)) & ~(width - 1);
      batch.store(offset, random.bytes(width));
      following = offset + width;
    } else if (choice < 8) {
      const uint64_t offset = follows ? following % kSize : random.below(kSize);
      const uint64_t length = random.between(1, std::min<uint64_t>(60, kSize - offset));
      batch.write(offset, random.bytes(length));
      following = offset + length;
    } else if (choice == 8) {
      const uint64_t offset = random.below(kSize);
      batch.load(offset, random.between(1, std::min<uint64_t>(24, kSize - offset)));
    } else {
      batch.fence();
    }
  }
}

void failAtRandom(Batch& batch, Random& random) {
  const uint64_t nth = random.between(1, 25);
  switch (random.below(7)) {
    case 0: return batch.device.failAt(nth, Status::deviceError);
    case 1: return batch.device.failAt(nth, Status::invalidHandle);
    case 2: return batch.device.failAt(nth, Status::regionLost);
    case 3: return batch.device.failAt(nth, Status::busy, 2);
    case 4: return batch.device.before(nth, [&batch] { batch.stop = 1; });
    case 5: return batch.device.before(nth, [&batch] { batch.region->close(); });
    default: return;  // goes through
  }
}

// The bytes told done, applied in program order, are the device's bytes; each load saw those before it.
void judgeBytes(const Batch& batch, const Report& report) {
  std::vector<uint8_t> picture(kSize);
  for (uint32_t i = 0; i < batch.operations.size(); i++) {
    const Operation& operation = batch.operations[i];
    const Outcome outcome = outcomeOf(batch, report, i);
    const uint64_t length = operation.bytes.size();
    const uint64_t done = outcome.state == wire::State::done ? length : outcome.done;
    REQUIRE(done <= length);
    if (writes(operation)) {
      std::copy_n(operation.bytes.begin(), done, picture.begin() + static_cast<long>(operation.offset));
    } else if (operation.kind == wire::Opcode::load) {
      REQUIRE(std::equal(batch.loaded(i), batch.loaded(i) + done, &picture[operation.offset]));
    }
  }
  REQUIRE(picture == batch.device.memory);
}

bool within(uint64_t byte, const Operation& operation) {
  return operation.kind != wire::Opcode::fence && byte >= operation.offset &&
         byte < operation.offset + operation.bytes.size();
}

// Those told failed or partial are those whose bytes the failed access carried.
void judgeCulprits(const Batch& batch, const Report& report) {
  const test::Recorder::Access& failed = batch.device.failed;
  REQUIRE(report.failure.offset == failed.offset);
  REQUIRE(report.failure.length == failed.length);
  std::vector<bool> claimed(failed.length);
  uint32_t first = report.operations;
  for (uint32_t i = 0; i < report.operations; i++) {
    const Outcome outcome = outcomeOf(batch, report, i);
    if (outcome.state != wire::State::failed && outcome.state != wire::State::partial) continue;
    first = std::min(first, i);
    REQUIRE((outcome.state == wire::State::partial) == (outcome.done > 0));
    bool shares = false;
    for (uint32_t b = 0; b < failed.length; b++) {
      if (!within(failed.offset + b, batch.operations[i])) continue;
      shares = true;
      claimed[b] = true;
    }
    REQUIRE(shares);
  }
  REQUIRE(first == report.index);
  REQUIRE(std::find(claimed.begin(), claimed.end(), false) == claimed.end());
}

// In program order nothing is done, in whole or in part, behind the first operation that is not.
void judgeOrder(const Batch& batch, const Report& report) {
  bool open = false;
  for (uint32_t i = 0; i < report.operations; i++) {
    const Outcome outcome = outcomeOf(batch, report, i);
    REQUIRE((!open || outcome.state == wire::State::failed || outcome.state == wire::State::skipped));
    open = open || outcome.state != wire::State::done;
  }
}

void judgeCounts(const Batch& batch, const Report& report) {
  uint64_t loads = 0, stores = 0, blocks = 0, bytes = 0;
  for (const test::Recorder::Access& access : batch.device.taken) {
    loads += access.what == test::Recorder::What::load;
    stores += access.what == test::Recorder::What::store;
    blocks += access.what == test::Recorder::What::block;
    bytes += access.length;
  }
  REQUIRE(report.moved.loads == loads);
  REQUIRE(report.moved.stores == stores);
  REQUIRE(report.moved.storeBlocks == blocks);
  REQUIRE(report.moved.bytes == bytes);
}

void judge(Merge merge, bool relaxed, uint64_t seed) {
  Random random(seed);
  uint64_t failures = 0;
  for (int i = 0; i < test::scaled(8'000); i++) {
    Batch batch(random.smallRules(), merge, relaxed, kSize, random.oneIn(2) ? 1 : 512);
    fillAtRandom(batch, random);
    failAtRandom(batch, random);
    if (random.oneIn(2)) batch.refill();
    const Report report = batch.run();
    CAPTURE(i);
    CAPTURE(batch.device.told());
    judgeBytes(batch, report);
    judgeCounts(batch, report);
    if (merge != Merge::any || !relaxed) judgeOrder(batch, report);
    const Status status = report.failure.status;
    if (status == Status::ok) continue;
    failures++;
    if (status != Status::aborted && status != Status::closed) judgeCulprits(batch, report);
  }
  REQUIRE(failures > static_cast<uint64_t>(test::scaled(500)));  // else this would have judged nothing
}

TEST_CASE("what each operation is told is what happened to it: merge 'none'") { judge(Merge::none, false, 1); }
TEST_CASE("what each operation is told is what happened to it: merge 'adjacent'") { judge(Merge::adjacent, false, 2); }
TEST_CASE("what each operation is told is what happened to it: merge 'adjacent', order 'relaxed'") {
  judge(Merge::adjacent, true, 3);
}
TEST_CASE("what each operation is told is what happened to it: merge 'any'") { judge(Merge::any, false, 4); }
TEST_CASE("what each operation is told is what happened to it: merge 'any', order 'relaxed'") {
  judge(Merge::any, true, 5);
}

}  // namespace
}  // namespace ismio
