// The emulated backend: refuses what the device refuses, fails as scripted, and takes memory only where it is stored
// to.
#include "backend/emulated/emulated.h"

#include <doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <unistd.h>

#include "support/pause.h"
#include "support/random.h"

namespace ismio {
namespace {

constexpr Rules kIsm{};
constexpr Rules kStrict{128, 4096, Alignment::strict, true};
constexpr uint64_t kLargest = uint64_t{1} << 48;

class Device {
 public:
  explicit Device(const Rules& rules, const std::vector<Fault>& faults = {}, uint64_t seed = 1,
                  uint64_t size = kLargest)
      : emulated_(size, rules, Cost{}, faults, seed) {
    REQUIRE(emulated_.ready());
  }

  Status store(uint64_t offset, uint64_t value = 1) {
    failure = Failure{};
    return emulated_.store(offset, reinterpret_cast<const uint8_t*>(&value), 8, failure);
  }
  Status load(uint64_t offset, uint64_t& value) {
    failure = Failure{};
    return emulated_.load(offset, reinterpret_cast<uint8_t*>(&value), 8, failure);
  }
  Status block(uint64_t offset, uint32_t length) {
    failure = Failure{};
    const std::vector<uint8_t> bytes(length + 1, 0x5a);
    return emulated_.storeBlock(offset, bytes.data(), length, failure);
  }
  // Tries a busy access again, as the engine does.
  Status storeAgain(uint64_t offset) {
    failure.tries++;
    const uint64_t value = 1;
    return emulated_.store(offset, reinterpret_cast<const uint8_t*>(&value), 8, failure);
  }

  Failure failure;

 private:
  Emulated emulated_;
};

Fault faultAt(uint64_t nth, uint8_t conditionCode, uint8_t status = 0) {
  Fault fault;
  fault.nth = nth;
  fault.conditionCode = conditionCode;
  fault.deviceStatus = status;
  return fault;
}

uint64_t residentBytes() {
  uint64_t total = 0, resident = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  REQUIRE(file != nullptr);
  REQUIRE(std::fscanf(file, "%lu %lu", &total, &resident) == 2);
  std::fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST_CASE("a region of 2^48 bytes holds what was stored at its ends and takes memory there only") {
  const uint64_t before = residentBytes();
  Device device(kIsm);
  for (const uint64_t offset : {uint64_t{0}, kLargest / 2, kLargest - 8})
    CHECK(device.store(offset, offset + 5) == Status::ok);
  for (const uint64_t offset : {uint64_t{0}, kLargest / 2, kLargest - 8}) {
    uint64_t value = 0;
    CHECK(device.load(offset, value) == Status::ok);
    CHECK(value == offset + 5);
  }
  CHECK(residentBytes() - before < 32u << 20);
}

TEST_CASE("what was never stored to reads as zeros") {
  Device device(kIsm);
  uint64_t value = 99;
  CHECK(device.load(kLargest - 4096, value) == Status::ok);
  CHECK(value == 0);
}

TEST_CASE("a block over the end of a chunk is whole on both sides") {
  constexpr uint64_t kChunk = 1u << 21;
  SparseBytes sparse(4 * kChunk);
  test::Random random(3);
  const std::vector<uint8_t> bytes = random.bytes(3 * kChunk / 2);
  CHECK(sparse.store(kChunk - 100, bytes.data(), bytes.size()));
  std::vector<uint8_t> back(bytes.size());
  sparse.load(kChunk - 100, back.data(), back.size());
  CHECK((back == bytes));
}

TEST_CASE("the refusals of a relaxed function: EINVAL for what is too long or reaches over a window") {
  Device device(kIsm);
  CHECK(device.block(0, 4096) == Status::ok);
  CHECK(device.block(4095, 1) == Status::ok);
  CHECK(device.block(0, 4097) == Status::ruleBroken);
  CHECK(device.failure.rule == Rule::maxStoreBlock);
  CHECK(device.failure.errorNumber == EINVAL);
  CHECK(device.block(4095, 2) == Status::ruleBroken);
  CHECK(device.failure.rule == Rule::boundary);
  CHECK(device.failure.errorNumber == EINVAL);
}

TEST_CASE("the refusals of a strict function: ENXIO for what is not made of words, or of one") {
  Device device(kStrict);
  CHECK(device.block(8, 16) == Status::ok);
  const struct {
    uint64_t offset;
    uint32_t length;
    Rule rule;
  } cases[] = {{4, 16, Rule::offsetAlignment}, {0, 20, Rule::lengthAlignment}, {0, 8, Rule::length}};
  for (const auto& refused : cases) {
    CHECK(device.block(refused.offset, refused.length) == Status::ruleBroken);
    CHECK(device.failure.rule == refused.rule);
    CHECK(device.failure.errorNumber == ENXIO);
  }
}

TEST_CASE("a refused block changes nothing") {
  Device device(kIsm);
  device.block(4090, 100);
  uint64_t value = 1;
  device.load(4088, value);
  CHECK(value == 0);
}

TEST_CASE("the n-th access fails with its condition code and status, the others go through") {
  Device device(kIsm, {faultAt(2, 1, 0x28)});
  CHECK(device.store(0) == Status::ok);
  CHECK(device.store(8) == Status::deviceError);
  CHECK(device.failure.conditionCode == 1);
  CHECK(device.failure.deviceStatus == 0x28);
  uint64_t value = 7;
  CHECK(device.load(8, value) == Status::ok);
  CHECK(value == 0);
}

TEST_CASE("condition codes 2 and 3 are busy and an invalid handle") {
  Device device(kIsm, {faultAt(1, 2), faultAt(2, 3)});
  CHECK(device.store(0) == Status::busy);
  CHECK(device.store(0) == Status::invalidHandle);
}

TEST_CASE("a busy access that is tried again is still the same access") {
  Fault busy = faultAt(1, 2);
  busy.times = 3;
  Device device(kIsm, {busy, faultAt(2, 3)});
  CHECK(device.store(0) == Status::busy);
  CHECK(device.storeAgain(0) == Status::busy);
  CHECK(device.storeAgain(0) == Status::busy);
  CHECK(device.storeAgain(0) == Status::ok);
  CHECK(device.store(8) == Status::invalidHandle);
}

TEST_CASE("a fault on a range strikes what touches it, and nothing beside it") {
  Fault fault;
  fault.from = 100;
  fault.to = 200;
  fault.conditionCode = 3;
  Device device(kIsm, {fault});
  CHECK(device.block(92, 8) == Status::ok);
  CHECK(device.block(92, 9) == Status::invalidHandle);
  CHECK(device.block(199, 1) == Status::invalidHandle);
  CHECK(device.block(200, 1) == Status::ok);
}

TEST_CASE("a fault on one kind of access leaves the others alone and counts only its own") {
  Fault fault = faultAt(2, 3);
  fault.accesses = static_cast<uint8_t>(Access::storeBlock);
  Device device(kIsm, {fault});
  CHECK(device.store(0) == Status::ok);
  CHECK(device.block(0, 16) == Status::ok);
  CHECK(device.store(0) == Status::ok);
  CHECK(device.block(0, 16) == Status::invalidHandle);
}

TEST_CASE("a region that was lost stays lost") {
  Device device(kIsm, {faultAt(2, 0)});
  uint64_t value = 0;
  CHECK(device.store(0) == Status::ok);
  CHECK(device.store(0) == Status::regionLost);
  CHECK(device.load(0, value) == Status::regionLost);
  CHECK(device.block(0, 16) == Status::regionLost);
}

TEST_CASE("faults by chance strike about as often as told, the same way for the same seed") {
  Fault fault;
  fault.chance = 0.25;
  fault.conditionCode = 3;
  const auto strikes = [&](uint64_t seed) {
    Device device(kIsm, {fault}, seed);
    std::string struck;
    for (int i = 0; i < 2'000; i++) struck += device.store(0) == Status::ok ? '.' : 'x';
    return struck;
  };
  const std::string first = strikes(11);
  const auto count = std::count(first.begin(), first.end(), 'x');
  CHECK(count > 400);
  CHECK(count < 600);
  CHECK(strikes(11) == first);
  CHECK(strikes(12) != first);
}

TEST_CASE("synthetic cost is spent on each access") {
  Emulated slow(4096, kIsm, Cost{0, 200'000, 0, 0}, {}, 0);
  const uint8_t bytes[8] = {};
  Failure failure;
  const double before = nanosecondsNow();
  for (int i = 0; i < 10; i++) slow.store(0, bytes, 8, failure);
  CHECK(nanosecondsNow() - before >= 2'000'000);
}

TEST_CASE("threads that store to the same new chunk at once all find their words again") {
  SparseBytes sparse(uint64_t{1} << 30);
  const auto worker = [&](uint64_t number) {
    for (uint64_t i = 0; i < 400; i++) {
      const uint64_t offset = i * (1u << 21) + number * 8;
      sparse.store(offset, reinterpret_cast<const uint8_t*>(&number), 8);
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t i = 1; i <= 4; i++) threads.emplace_back(worker, i);
  for (std::thread& thread : threads) thread.join();
  for (uint64_t i = 0; i < 400; i++) {
    uint64_t words[5];
    sparse.load(i * (1u << 21), reinterpret_cast<uint8_t*>(words), sizeof words);
    for (uint64_t number = 0; number <= 4; number++) REQUIRE(words[number] == number);
  }
}

}  // namespace
}  // namespace ismio
