// The executor on one batch: what reaches the device, and what each operation is told after a failure.
#include "exec/executor.h"

#include <doctest.h>

#include <algorithm>

#include "support/batch.h"
#include "support/random.h"

namespace ismio {
namespace {

using test::Batch;

constexpr Rules kIsm{};
constexpr Rules kStrict{128, 4096, Alignment::strict, true};

std::vector<uint8_t> filled(size_t length, uint8_t value) { return std::vector<uint8_t>(length, value); }

wire::State stateOf(const Report& report, uint32_t index) {
  return static_cast<wire::State>(Batch::outcome(report, index).state);
}

TEST_CASE("without merging each operation is an access of its own, in program order") {
  Batch batch(kIsm, Merge::none, false);
  batch.store(8, filled(8, 1));
  batch.store(16, filled(4, 2));
  batch.write(0, filled(5, 3));
  const Report report = batch.run();
  CHECK(report.failure.status == Status::ok);
  CHECK(batch.device.told() == "S8+8 S16+4 B0+5");
}

TEST_CASE("n sequential 8-byte stores are exactly ceil(8n / maxStoreBlock) store blocks") {
  for (const uint32_t most : {64u, 128u, 256u}) {
    for (uint64_t n = 2; n <= Batch::kDepth; n++) {
      const Rules rules{most, 4096, Alignment::relaxed, true};
      Batch batch(rules, Merge::adjacent, false);
      for (uint64_t i = 0; i < n; i++) batch.store(i * 8, filled(8, static_cast<uint8_t>(i)));
      const Report report = batch.run();
      REQUIRE(batch.device.taken.size() == (8 * n + most - 1) / most);
      REQUIRE(report.moved.bytes == 8 * n);
    }
  }
}

TEST_CASE("a store that nothing joins stays a store; joined stores become a block") {
  Batch batch(kIsm, Merge::adjacent, false);
  batch.store(0, filled(8, 1));
  batch.store(64, filled(8, 2));
  batch.store(72, filled(8, 3));
  batch.run();
  CHECK(batch.device.told() == "S0+8 B64+16");
}

TEST_CASE("a strict function gets joined 8-byte stores as a block only where there are two or more") {
  Batch batch(kStrict, Merge::adjacent, false);
  batch.store(0, filled(8, 1));
  batch.store(8, filled(8, 2));
  batch.store(4088, filled(8, 3));
  batch.run();
  CHECK(batch.device.told() == "B0+16 S4088+8");
}

TEST_CASE("order 'strict' with merge 'any' lays a write over or before the pending one, and passes nothing") {
  Batch batch(kIsm, Merge::any, false);
  batch.write(8, filled(8, 1));
  batch.write(0, filled(8, 2));
  batch.write(4, filled(4, 3));
  batch.write(100, filled(8, 4));
  batch.write(16, filled(8, 5));
  batch.run();
  CHECK(batch.device.told() == "B0+16 B100+8 B16+8");
}

TEST_CASE("order 'relaxed' with merge 'any' sorts what lies between two fences") {
  Batch batch(kIsm, Merge::any, true);
  batch.write(16, filled(8, 1));
  batch.write(100, filled(8, 2));
  batch.write(0, filled(16, 3));
  batch.fence();
  batch.write(24, filled(8, 4));
  batch.run();
  CHECK(batch.device.told() == "B0+24 B100+8 B24+8");
  CHECK(batch.device.fences == 1);
}

TEST_CASE("a load sees the writes queued before it, in every mode") {
  for (const Merge merge : {Merge::none, Merge::adjacent, Merge::any}) {
    for (const bool relaxed : {false, true}) {
      Batch batch(kIsm, merge, relaxed);
      batch.write(3, filled(10, 7));
      batch.load(0, 16);
      batch.write(3, filled(10, 9));
      batch.run();
      const std::vector<uint8_t> seen(batch.loaded(1), batch.loaded(1) + 16);
      CHECK(seen == std::vector<uint8_t>{0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0});
    }
  }
}

TEST_CASE("a busy access is tried again and counted; the batch goes through") {
  Batch batch(kIsm, Merge::none, false);
  batch.store(0, filled(8, 1));
  batch.store(64, filled(8, 2));
  batch.device.failAt(2, Status::busy, 3);
  const Report report = batch.run();
  CHECK(report.failure.status == Status::ok);
  CHECK(report.moved.retries == 3);
  CHECK(report.moved.stores == 2);
}

TEST_CASE("an access that stays busy fails after every try") {
  Batch batch(kIsm, Merge::none, false);
  batch.store(0, filled(8, 1));
  batch.device.failAt(1, Status::busy, UINT64_MAX);
  const Report report = batch.run();
  CHECK(report.failure.status == Status::busy);
  CHECK(report.failure.tries == kBusyTries);
  CHECK(batch.device.taken.empty());
}

TEST_CASE("a failed store block is not repeated") {
  Batch batch(kIsm, Merge::none, false);
  batch.write(0, filled(100, 1));
  batch.device.failAt(1, Status::deviceError);
  CHECK(batch.run().failure.status == Status::deviceError);
  CHECK(batch.device.taken.empty());
}

TEST_CASE("a long write that fails in its middle is partial and says how far it came") {
  Batch batch(kIsm, Merge::none, false);
  batch.store(0, filled(8, 1));
  batch.write(4000, filled(5000, 2));
  batch.store(8, filled(8, 3));
  batch.device.failAt(3, Status::deviceError);
  const Report report = batch.run();
  CHECK(report.index == 1);
  CHECK(report.unfinished == 1);
  CHECK(stateOf(report, 1) == wire::State::partial);
  CHECK(Batch::outcome(report, 1).done == 96);
  CHECK(report.failure.done == 96);
  CHECK(stateOf(report, 2) == wire::State::skipped);
}

TEST_CASE("an entry that no caller writes is refused before anything of it is done") {
  struct Broken {
    const char* what;
    void (*breakIt)(wire::Entry& entry);
    Status status;
  };
  const Broken cases[] = {
      {"offset is not a number", [](wire::Entry& e) { e.offset = 0.0 / 0.0; }, Status::outOfRange},
      {"offset is negative", [](wire::Entry& e) { e.offset = -8; }, Status::outOfRange},
      {"offset is a fraction", [](wire::Entry& e) { e.offset = 0.5; }, Status::outOfRange},
      {"offset is 2^53", [](wire::Entry& e) { e.offset = 0x1p53; }, Status::outOfRange},
      {"offset lies past the end", [](wire::Entry& e) { e.offset = 1 << 16; }, Status::outOfRange},
      {"length reaches past the end", [](wire::Entry& e) { e.offset = (1 << 16) - 4; }, Status::outOfRange},
      {"opcode is unknown", [](wire::Entry& e) { e.opcode = 9; }, Status::badEntry},
      {"store of 3 bytes", [](wire::Entry& e) { e.opcode = 1 | 3 << 8; }, Status::badEntry},
      {"store of 8 bytes at 4",
       [](wire::Entry& e) {
         e.opcode = 1 | 8 << 8;
         e.offset = 4;
       },
       Status::badEntry},
      {"slot that holds nothing", [](wire::Entry& e) { e.source = 5; }, Status::badEntry},
      {"slot that does not exist", [](wire::Entry& e) { e.source = 64; }, Status::badEntry},
      {"position outside the source", [](wire::Entry& e) { e.position = 1 << 20; }, Status::badEntry},
      {"position is negative", [](wire::Entry& e) { e.position = -1; }, Status::badEntry},
  };
  for (const Broken& broken : cases) {
    for (const Merge merge : {Merge::none, Merge::adjacent, Merge::any}) {
      INFO(std::string(broken.what));
      Batch batch(kIsm, merge, true);
      batch.write(0, filled(8, 1));
      broken.breakIt(batch.entry(0));
      const Report report = batch.run();
      CHECK(report.failure.status == broken.status);
      CHECK(report.index == 0);
      CHECK(Batch::outcome(report, 0).offset == 0);
      CHECK(Batch::outcome(report, 0).length == 0);
      CHECK(stateOf(report, 0) == wire::State::failed);
      CHECK(batch.device.taken.empty());
    }
  }
}

TEST_CASE("a region that was opened without write access takes loads and refuses the rest") {
  auto recorder = std::make_unique<test::Recorder>(4096, kIsm);
  const Attachment attachment(test::regionOver(std::move(recorder), 4096, kIsm, false));
  Issuer issuer(attachment);
  uint8_t bytes[8] = {};
  Failure failure;
  CHECK(issuer.store(0, bytes, 8, failure) == Status::readOnly);
  CHECK(issuer.storeBlock(0, bytes, 8, failure) == Status::readOnly);
  CHECK(issuer.write(0, bytes, 8, failure) == Status::readOnly);
  CHECK(issuer.read(0, bytes, 8, failure) == Status::ok);
}

TEST_CASE("a read makes the widest aligned loads, from the lowest address up") {
  auto owned = std::make_unique<test::Recorder>(4096, kIsm);
  test::Recorder& device = *owned;
  const Attachment attachment(test::regionOver(std::move(owned), 4096, kIsm));
  Issuer issuer(attachment);
  uint8_t bytes[32];
  Failure failure;
  CHECK(issuer.read(1, bytes, 30, failure) == Status::ok);
  CHECK(device.told() == "L1+1 L2+2 L4+4 L8+8 L16+8 L24+4 L28+2 L30+1");
}

constexpr Rules kBlocks{128, 4096, Alignment::strict, true, false};

TEST_CASE("without single stores a batch that no blocks can carry is refused before anything of it is issued") {
  for (const Merge merge : {Merge::none, Merge::adjacent, Merge::any}) {
    for (const bool relaxed : {false, true}) {
      Batch batch(kBlocks, merge, relaxed);
      batch.write(0, filled(64, 1));
      batch.load(0, 8);
      batch.write(4080, filled(24, 2));  // one word behind the boundary
      batch.write(512, filled(64, 3));
      const Report report = batch.run();
      CHECK(report.failure.status == Status::ruleBroken);
      CHECK(report.failure.rule == Rule::singleStores);
      CHECK(report.failure.offset == 4080);
      CHECK(report.failure.length == 24);
      CHECK(report.index == 2);
      CHECK(report.unfinished == 0);
      CHECK(batch.device.told().empty());
      for (const uint32_t index : {0u, 1u, 3u}) CHECK(stateOf(report, index) == wire::State::skipped);
      CHECK(stateOf(report, 2) == wire::State::failed);
      CHECK(report.moved.errors == 1);
    }
  }
}

TEST_CASE("without single stores words that are merged become blocks, also behind one that is full") {
  for (const bool relaxed : {false, true}) {
    Batch batch(kBlocks, Merge::any, relaxed);
    batch.write(0, filled(128, 1));
    batch.store(128, filled(8, 2));
    batch.fence();
    batch.store(512, filled(8, 3));
    batch.store(520, filled(8, 4));
    CHECK(batch.run().failure.status == Status::ok);
    CHECK(batch.device.told() == "B0+120 B120+16 B512+16");
  }
}

TEST_CASE("without single stores a fence or a load keeps words apart that would be a block together") {
  Batch fenced(kBlocks, Merge::any, false);
  fenced.store(0, filled(8, 1));
  fenced.fence();
  fenced.store(8, filled(8, 2));
  CHECK(fenced.run().failure.rule == Rule::singleStores);
  Batch loaded(kBlocks, Merge::any, false);
  loaded.store(0, filled(8, 1));
  loaded.load(64, 8);
  loaded.store(8, filled(8, 2));
  CHECK(loaded.run().failure.rule == Rule::singleStores);
  CHECK(loaded.device.told().empty());
}

TEST_CASE("a relaxed function without single stores gets each store as a block of its own width") {
  for (const Merge merge : {Merge::none, Merge::adjacent}) {
    Batch batch(Rules{128, 4096, Alignment::relaxed, true, false}, merge, false);
    batch.store(8, filled(8, 1));
    batch.store(64, filled(4, 2));
    const Report report = batch.run();
    CHECK(report.failure.status == Status::ok);
    CHECK(batch.device.told() == "B8+8 B64+4");
    CHECK(report.moved.storeBlocks == 2);
    CHECK(report.moved.stores == 0);
  }
}

TEST_CASE("random batches without single stores: all of one, in legal blocks, or nothing of it") {
  test::Random random(20260104);
  uint64_t refused = 0;
  for (int i = 0; i < test::scaled(20'000); i++) {
    Rules rules = random.smallRules();
    rules.alignment = Alignment::strict;
    rules.singleStores = false;
    if (!wellFormed(rules)) continue;
    const auto merge = static_cast<Merge>(random.below(3));
    const bool relaxed = random.oneIn(2);
    Batch batch(rules, merge, relaxed);
    std::vector<uint8_t> expected(4096);
    bool eachPossible = true;
    uint64_t at = 0;
    for (uint64_t operations = random.between(1, 8); operations > 0; operations--) {
      if (random.oneIn(8)) batch.fence();
      if (random.oneIn(8)) batch.load(random.below(64) * 8, 8);
      if (random.oneIn(3)) at = random.below(32) * 8;
      const uint64_t length = random.oneIn(4) ? 8 : random.between(1, 10) * 8;
      const std::vector<uint8_t> bytes = random.bytes(length);
      length == 8 && random.oneIn(2) ? batch.store(at, bytes) : batch.write(at, bytes);
      std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<int64_t>(at));
      eachPossible = eachPossible && possible(rules, at, length);
      at += length;
    }
    const Report report = batch.run();
    uint64_t stores = 0;
    for (const auto& access : batch.device.taken) stores += access.what != test::Recorder::What::load;
    if (report.failure.status == Status::ok) {
      REQUIRE(stores == report.moved.storeBlocks);
      for (const auto& access : batch.device.taken) {
        const bool load = access.what == test::Recorder::What::load;
        REQUIRE((load || broken(rules, access.offset, access.length) == Rule::none));
      }
      REQUIRE(std::equal(expected.begin(), expected.end(), batch.device.memory.begin()));
    } else {
      refused++;
      REQUIRE(report.failure.rule == Rule::singleStores);
      REQUIRE(batch.device.taken.empty());
      // What is gathered is cut anew, so writes that overlap may leave a block of 16 bytes a word too many.
      if (merge != Merge::any || !relaxed || rules.maxStoreBlock >= 24) REQUIRE_FALSE(eachPossible);
    }
  }
  CHECK(refused > static_cast<uint64_t>(test::scaled(1'000)) / 2);
}

}  // namespace
}  // namespace ismio
