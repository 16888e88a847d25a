// The clock of the CPU and the times of the stages: what goes where, and that nothing is taken unless asked for. How
// long something takes is only ever compared with a wait that it must have held.
#include "support/stages.h"

#include <doctest.h>

#include <thread>

#include "backend/emulated/emulated.h"
#include "exec/queue.h"
#include "support/batch.h"

namespace ismio {
namespace {

using test::Batch;

constexpr double kWait = 20'000;  // nanoseconds

uint64_t in(const StageTotals& totals, Stage stage) { return totals.spent[static_cast<size_t>(stage)]; }
double nanosecondsIn(const StageTotals& totals, Stage stage) {
  return static_cast<double>(in(totals, stage)) * nanosecondsPerTick();
}

TEST_CASE("ticks go up, and a tick is as long as the steady clock says") {
  const Clocks before = clocksNow();
  pauseFor(3e6);
  const Clocks after = clocksNow();
  REQUIRE(after.ticks > before.ticks);
  const double told = static_cast<double>(after.ticks - before.ticks) * nanosecondsPerTick();
  CHECK(told == doctest::Approx(after.nanoseconds - before.nanoseconds).epsilon(0.01));
}

TEST_CASE("ticks that another core saw the wrong way round are no time at all") {
  CHECK(ticksBetween(5, 9) == 4);
  CHECK(ticksBetween(9, 5) == 0);
}

TEST_CASE("time goes to the innermost stage, and to the one around it when that is left") {
  StageCounters counters;
  StageClock clock(counters);
  {
    const StageScope merging(&clock, Stage::merge);
    pauseFor(kWait);
    {
      const StageScope device(&clock, Stage::device);
      pauseFor(3 * kWait);
    }
    pauseFor(kWait);
  }
  pauseFor(kWait);  // in no stage
  StageTotals totals;
  counters.addTo(totals);
  CHECK(totals.stamps == 4);
  CHECK(nanosecondsIn(totals, Stage::merge) >= 2 * kWait * 0.99);
  CHECK(nanosecondsIn(totals, Stage::device) >= 3 * kWait * 0.99);
  for (const Stage other : {Stage::enqueue, Stage::plan, Stage::copy, Stage::completion}) CHECK(in(totals, other) == 0);
}

TEST_CASE("a scope without a clock is nothing") {
  const StageScope none(nullptr, Stage::device);
  CHECK(ticksPerStamp() > 0);
}

TEST_CASE("a batch has its stages timed when the region says so, and not a stamp taken when it does not") {
  Batch batch(Rules{}, Merge::adjacent, false);
  for (uint64_t i = 0; i < 8; i++) batch.write(i * 100, std::vector<uint8_t>(100, 1));
  const CounterSet& counters = batch.region->counters();
  CHECK(batch.run().lastTick == 0);
  CHECK(counters.stages().stamps == 0);

  batch.region->timeStages(true);
  CHECK(batch.run().lastTick > 0);
  const StageTotals timed = counters.stages();
  for (const Stage stage : {Stage::merge, Stage::plan, Stage::copy, Stage::device}) CHECK(in(timed, stage) > 0);

  batch.region->timeStages(false);
  batch.run();
  CHECK(counters.stages().stamps == timed.stamps);
  batch.region->timeStages(true);
  CHECK(counters.stages().stamps == 0);
}

TEST_CASE("stamps are taken for runs of words, not for each word") {
  constexpr uint32_t kWords = 64;
  for (const Merge merge : {Merge::none, Merge::adjacent}) {
    Batch batch(Rules{}, merge, false, 1 << 16, 512);
    for (uint64_t i = 0; i < kWords; i++) batch.store(i * 8, std::vector<uint8_t>(8, 1));
    batch.region->timeStages(true);
    batch.run();
    CHECK(batch.region->counters().stages().stamps < kWords / 4);
  }
}

TEST_CASE("the device's time is the device's, whoever asks: a batch, a read, a write in pieces") {
  const Cost cost{kWait, kWait, kWait, 0};
  const auto region =
      test::regionOver(std::make_unique<Emulated>(1 << 16, Rules{}, cost, std::vector<Fault>{}, 0), 1 << 16, Rules{});
  const Attachment attachment(region);
  Issuer issuer(attachment);
  region->timeStages(true);
  std::vector<uint8_t> bytes(12288);  // three store blocks
  Failure failure;
  REQUIRE(issuer.write(0, bytes.data(), bytes.size(), failure) == Status::ok);
  CHECK(nanosecondsIn(region->counters().stages(), Stage::device) >= 3 * kWait * 0.99);
  REQUIRE(issuer.read(0, bytes.data(), 16, failure) == Status::ok);
  const StageTotals both = region->counters().stages();
  CHECK(nanosecondsIn(both, Stage::device) >= 5 * kWait * 0.99);
  CHECK(in(both, Stage::plan) > 0);
}

TEST_CASE("stages are switched and read while other threads are in the middle of them") {
  const auto region =
      test::regionOver(std::make_unique<Emulated>(1 << 16, Rules{}, Cost{}, std::vector<Fault>{}, 0), 1 << 16, Rules{});
  std::atomic<bool> done{false};
  const auto worker = [&](uint64_t offset) {
    const Attachment attachment(region);
    Issuer issuer(attachment);
    const std::vector<uint8_t> bytes(64);
    Failure failure;
    while (!done) issuer.write(offset, bytes.data(), bytes.size(), failure);
  };
  std::thread first(worker, 0), second(worker, 4096);
  for (int i = 0; i < 200; i++) {
    region->timeStages(i % 2 == 0);
    const StageTotals one = region->counters().stages();
    const StageTotals next = region->counters().stages();
    REQUIRE(next.stamps >= one.stamps);
  }
  done = true;
  first.join();
  second.join();
}

}  // namespace
}  // namespace ismio
