// The merger: what a stream of writes becomes, told in prose and asserted.
#include "plan/merger.h"

#include <doctest.h>

#include <string>
#include <vector>

#include "support/random.h"

namespace ismio {
namespace {

constexpr Rules kIsm{};
constexpr Rules kStrict{128, 4096, Alignment::strict, true};

// Feeds writes to a merger and tells what it issued: "block 0+16 of 0..1" is a store block with the bytes of operations
// 0 to 1.
class Stream {
 public:
  Stream(const Rules& rules, Merge mode) : merger_(rules, mode), memory_(1 << 16) {}

  Stream& store(uint64_t offset, uint64_t width) { return add(offset, width, true); }
  Stream& write(uint64_t offset, uint64_t length) { return add(offset, length, false); }
  Stream& flush() {
    merger_.flush([this](const Issue& issue) { return take(issue); });
    return *this;
  }

  const std::string& told() {
    flush();
    return told_;
  }
  Merger& merger() { return merger_; }
  void failFrom(uint32_t issue) { failFrom_ = issue; }
  bool failed() const { return failed_; }

 private:
  // Each operation writes its own number, so that the bytes issued tell whose they are.
  Stream& add(uint64_t offset, uint64_t length, bool scalar) {
    const std::vector<uint8_t> bytes(length, static_cast<uint8_t>(operation_ + 1));
    for (uint64_t i = 0; i < length; i++) memory_[offset + i] = bytes[i];
    const bool ok = merger_.add(offset, bytes.data(), length, scalar, operation_++,
                                [this](const Issue& issue) { return take(issue); });
    failed_ = failed_ || !ok;
    return *this;
  }

  bool take(const Issue& issue) {
    if (issues_++ >= failFrom_) return false;
    const Piece& piece = issue.piece;
    told_ += told_.empty() ? "" : ", ";
    told_ += (piece.block ? "block " : "store ") + std::to_string(piece.offset) + "+" + std::to_string(piece.length);
    told_ += " of " + std::to_string(issue.firstOperation);
    if (issue.lastOperation != issue.firstOperation) told_ += ".." + std::to_string(issue.lastOperation);
    for (uint32_t i = 0; i < piece.length; i++) REQUIRE(issue.bytes[i] == memory_[piece.offset + i]);
    return true;
  }

  Merger merger_;
  std::vector<uint8_t> memory_;
  std::string told_;
  uint32_t operation_ = 0;
  uint32_t issues_ = 0;
  uint32_t failFrom_ = UINT32_MAX;
  bool failed_ = false;
};

TEST_CASE("writes that continue each other become one store block, told with all its operations") {
  CHECK(Stream(kIsm, Merge::adjacent).write(0, 10).write(10, 20).write(30, 2).told() == "block 0+32 of 0..2");
}

TEST_CASE("a gap ends the store block") {
  CHECK(Stream(kIsm, Merge::adjacent).write(0, 8).write(9, 8).told() == "block 0+8 of 0, block 9+8 of 1");
}

TEST_CASE("mode 'adjacent' joins at the end only; mode 'any' also before and over") {
  CHECK(Stream(kIsm, Merge::adjacent).write(8, 8).write(0, 8).told() == "block 8+8 of 0, block 0+8 of 1");
  CHECK(Stream(kIsm, Merge::any).write(8, 8).write(0, 8).told() == "block 0+16 of 0..1");
  CHECK(Stream(kIsm, Merge::any).write(0, 16).write(4, 4).told() == "block 0+16 of 0..1");
  CHECK(Stream(kIsm, Merge::any).write(0, 16).write(12, 8).told() == "block 0+20 of 0..1");
}

TEST_CASE("mode 'any' lays nothing over the pending bytes that one store block could not carry") {
  CHECK(Stream(kIsm, Merge::any).write(4090, 4).write(4096, 4).told() == "block 4090+4 of 0, block 4096+4 of 1");
  CHECK(Stream(kIsm, Merge::any).write(4092, 4).write(4094, 4).told() ==
        "block 4092+4 of 0, block 4094+2 of 1, block 4096+2 of 1");
}

TEST_CASE("nothing is laid before bytes whose beginning has been issued already") {
  CHECK(Stream(kIsm, Merge::any).write(0, 4100).write(4090, 6).told() ==
        "block 0+4096 of 0, block 4096+4 of 0, block 4090+6 of 1");
}

TEST_CASE("a store block that is full is issued at once, not at the flush") {
  Stream stream(kIsm, Merge::adjacent);
  stream.write(0, 4000).write(4000, 96);
  CHECK(stream.merger().empty());
  CHECK(stream.told() == "block 0+4096 of 0..1");
}

TEST_CASE("a long write is cut as the planner would cut it, its rest waits for more") {
  Stream stream(kIsm, Merge::adjacent);
  stream.write(0, 10).write(10, 9000);
  CHECK_FALSE(stream.merger().empty());
  stream.write(9010, 10);
  CHECK(stream.told() == "block 0+4096 of 0..1, block 4096+4096 of 1, block 8192+828 of 1..2");
}

TEST_CASE("a store that nothing joins stays a store, for a relaxed function as well") {
  CHECK(Stream(kIsm, Merge::adjacent).store(0, 8).store(100, 4).told() == "store 0+8 of 0, store 100+4 of 1");
  CHECK(Stream(kIsm, Merge::adjacent).store(0, 8).store(8, 8).told() == "block 0+16 of 0..1");
}

TEST_CASE("a strict function gets the pending bytes in its own legal pieces") {
  CHECK(Stream(kStrict, Merge::adjacent).write(4, 4).write(8, 20).told() ==
        "store 4+4 of 0, block 8+16 of 1, store 24+4 of 1");
}

constexpr Rules kBlocks{32, 128, Alignment::strict, true, false};

TEST_CASE("without single stores a word that comes behind a full block takes one of its words along") {
  Stream stream(kBlocks, Merge::adjacent);
  for (uint64_t at = 0; at < 40; at += 8) stream.store(at, 8);
  CHECK(stream.merger().end() == 40);
  CHECK(stream.told() == "block 0+24 of 0..4, block 24+16 of 0..4");
}

TEST_CASE("without single stores a block goes out as soon as two words behind it, or the window's end, are there") {
  Stream stream(kBlocks, Merge::adjacent);
  stream.write(0, 32).store(32, 8);
  CHECK(stream.merger().end() == 40);
  stream.store(40, 8);
  CHECK(stream.merger().end() == 48);
  stream.write(48, 80);
  CHECK(stream.merger().empty());
  CHECK(stream.told() == "block 0+32 of 0..2, block 32+32 of 0..3, block 64+32 of 3, block 96+32 of 3");
}

TEST_CASE("without single stores words that follow each other are blocks, and one that is alone is none") {
  CHECK(Stream(kBlocks, Merge::adjacent).store(0, 8).store(8, 8).told() == "block 0+16 of 0..1");
  CHECK(Stream(kBlocks, Merge::any).store(8, 8).store(0, 8).told() == "block 0+16 of 0..1");
  CHECK(Stream(kBlocks, Merge::any).write(4, 4).write(0, 4).store(8, 8).told() == "block 0+16 of 0..2");
}

TEST_CASE("random streams without single stores: possible writes stay possible, in the fewest blocks") {
  test::Random random(20260103);
  for (int i = 0; i < test::scaled(100'000); i++) {
    Rules rules = random.smallRules();
    rules.singleStores = false;
    rules.alignment = Alignment::strict;
    if (!wellFormed(rules)) continue;
    Merger merger(rules, random.oneIn(2) ? Merge::any : Merge::adjacent);
    uint64_t at = random.below(32) * 8, blocks = 0, least = 0, run = at;
    const std::vector<uint8_t> bytes(512);
    const auto sink = [&](const Issue& issue) {
      REQUIRE(broken(rules, issue.piece.offset, issue.piece.length) == Rule::none);
      blocks++;
      return true;
    };
    const auto count = [&](uint64_t from, uint64_t to) {
      for (; from < to; least++) from += next(rules, from, to - from).length;
    };
    for (uint32_t operation = 0; operation < 6; operation++) {
      const uint64_t length = random.between(2, 12) * 8;
      if (random.oneIn(3)) {
        count(run, at);
        run = at += 8 * random.between(1, 4) + 512;
      }
      if (!possible(rules, at, length)) continue;
      REQUIRE(merger.add(at, bytes.data(), length, false, operation, sink));
      at += length;
    }
    REQUIRE(merger.flush(sink));
    count(run, at);
    REQUIRE(blocks == least);
  }
}

TEST_CASE("whole words may be put at the end only where they complete no store") {
  Stream stream(Rules{32, 4096, Alignment::relaxed, true}, Merge::any);
  CHECK(stream.merger().wordsThatFit() == 0);
  stream.store(0, 8);
  CHECK(stream.merger().wordsThatFit() == 2);
  stream.write(8, 16);
  CHECK(stream.merger().wordsThatFit() == 0);
}

TEST_CASE("no word fits behind pending bytes that were filled up from the side") {
  Stream stream(Rules{16, 4096, Alignment::relaxed, true}, Merge::any);
  stream.write(0, 12).write(8, 8);
  CHECK(stream.merger().end() == 16);
  CHECK(stream.merger().wordsThatFit() == 0);
}

TEST_CASE("what is gathered counts as copied once for each piece, what goes straight to the device does not") {
  Stream stream(Rules{16, 4096, Alignment::relaxed, true}, Merge::any);
  stream.write(0, 40);  // two blocks straight, 8 bytes gathered
  CHECK(stream.merger().takeCopies() == 1);
  stream.write(40, 20);  // 8 bytes fill the block up, 12 are gathered
  CHECK(stream.merger().takeCopies() == 2);
  stream.write(50, 4);  // laid over what is pending
  CHECK(stream.merger().takeCopies() == 1);
  CHECK(stream.merger().takeCopies() == 0);
}

TEST_CASE("writes that joined another are counted once") {
  Stream stream(kIsm, Merge::any);
  stream.write(0, 8).write(8, 8).write(4, 4).write(100, 4);
  CHECK(stream.merger().takeMerged() == 2);
  CHECK(stream.merger().takeMerged() == 0);
}

TEST_CASE("firstPending tells what waits") {
  Stream stream(kIsm, Merge::adjacent);
  stream.write(0, 8).write(100, 8).write(108, 8);
  CHECK(stream.merger().firstPending() == 1);
  stream.merger().discard();
  CHECK(stream.merger().empty());
  CHECK(stream.told() == "block 0+8 of 0");
}

TEST_CASE("when the device fails, add says so and issues nothing more") {
  Stream stream(kIsm, Merge::adjacent);
  stream.failFrom(1);
  stream.write(0, 12288);
  CHECK(stream.failed());
}

}  // namespace
}  // namespace ismio
