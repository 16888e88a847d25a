// The access kernels of this CPU: for every length and alignment the exact bytes, and nothing beside them.
//
// Includes the kernels' sources, because those that this CPU did not choose are visible only there.
// NOLINTBEGIN(bugprone-suspicious-include)
#include "insn/aarch64.cc"
#include "insn/portable.cc"
#include "insn/s390x.cc"
#include "insn/x86_64.cc"
// NOLINTEND(bugprone-suspicious-include)

#include <doctest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "support/mio_unit.h"
#include "support/random.h"

namespace ismio {
namespace {

constexpr uint32_t kLongest = 300;
constexpr uint32_t kLine = 64;
constexpr uint8_t kUntouched = 0xa5;

// Every kernel that this CPU can run, ordinary memory standing in for a device.
std::vector<const Mmio*> runnable() {
  std::vector<const Mmio*> all = {kernels().memory, kernels().mapped};
#if defined(__x86_64__)
  all.push_back(&kCopy);
  all.push_back(&kSse2);
  if (__builtin_cpu_supports("avx2")) all.push_back(&kCopyAvx2);
  if (__builtin_cpu_supports("avx512f")) all.insert(all.end(), {&kCopyAvx512, &kAvx512});
  if (hasMovdir64b()) all.push_back(&kMovdir);
#elif defined(__aarch64__)
  all.push_back(&kBurst);
#elif defined(__s390x__)
  test::MioUnit::install();
  all.push_back(&kMio);
#endif
  return all;
}

// A line-aligned piece of memory with room around it.
struct Field {
  alignas(kLine) uint8_t bytes[kLine + kLine + kLongest + kLine];
  uint8_t* at(uint32_t alignment) { return bytes + kLine + alignment; }
};

TEST_CASE("a store block of 1 to 300 bytes, at every alignment of device and source, stores exactly its bytes") {
  test::Random random(5);
  static Field device, source;
  const std::vector<uint8_t> fresh = random.bytes(sizeof source.bytes);
  std::copy(fresh.begin(), fresh.end(), source.bytes);
  for (const Mmio* mmio : runnable()) {
    INFO(std::string(mmio->name));
    for (uint32_t length = 1; length <= kLongest; length++) {
      for (uint32_t alignment = 0; alignment < kLine; alignment++) {
        const uint8_t* from = source.at((alignment * 7 + length) % kLine);
        std::fill(std::begin(device.bytes), std::end(device.bytes), kUntouched);
        Failure failure;
        REQUIRE(mmio->storeBlock(device.at(alignment), from, length, failure) == Status::ok);
        mmio->fence();
        uint8_t expected[sizeof device.bytes];
        std::fill(std::begin(expected), std::end(expected), kUntouched);
        std::copy_n(from, length, expected + kLine + alignment);
        REQUIRE(std::equal(std::begin(expected), std::end(expected), device.bytes));
      }
    }
  }
}

TEST_CASE("long store blocks arrive whole") {
  test::Random random(6);
  const std::vector<uint8_t> source = random.bytes(70'000);
  for (const Mmio* mmio : runnable()) {
    INFO(std::string(mmio->name));
    for (const uint32_t length : {4095u, 4096u, 4097u, 65536u, 69'990u}) {
      if (!mmio->plain && length > 4096) break;  // an instruction of its own takes no more than a page
      std::vector<uint8_t> device(source.size(), kUntouched);
      Failure failure;
      REQUIRE(mmio->storeBlock(device.data() + 3, source.data() + 5, length, failure) == Status::ok);
      mmio->fence();
      REQUIRE(std::equal(source.begin() + 5, source.begin() + 5 + length, device.begin() + 3));
      REQUIRE(device[2] == kUntouched);
      REQUIRE(device[3 + length] == kUntouched);
    }
  }
}

TEST_CASE("runs of 0 to 40 word loads reach targets of any alignment, and say how many they were") {
  test::Random random(8);
  static Field device;
  const std::vector<uint8_t> fresh = random.bytes(sizeof device.bytes);
  std::copy(fresh.begin(), fresh.end(), device.bytes);
  for (const Mmio* mmio : runnable()) {
    INFO(std::string(mmio->name));
    for (uint64_t words = 0; words <= 40; words++) {
      for (uint32_t alignment = 0; alignment < 8; alignment++) {
        std::vector<uint8_t> target(words * 8 + 16, kUntouched);
        Failure failure;
        uint64_t done = 99;
        REQUIRE(mmio->loadWords(device.at(8), target.data() + alignment, words, done, failure) == Status::ok);
        REQUIRE(done == words);
        REQUIRE(std::equal(device.at(8), device.at(8) + words * 8, target.begin() + alignment));
        for (uint32_t i = 0; i < alignment; i++) REQUIRE(target[i] == kUntouched);
        for (size_t i = alignment + words * 8; i < target.size(); i++) REQUIRE(target[i] == kUntouched);
      }
    }
  }
}

TEST_CASE("stores and loads of 1, 2, 4 and 8 bytes move exactly these") {
  const uint8_t source[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  for (const Mmio* mmio : runnable()) {
    for (const uint32_t width : {1u, 2u, 4u, 8u}) {
      alignas(8) uint8_t device[24];
      std::fill(std::begin(device), std::end(device), kUntouched);
      uint8_t back[10];
      std::fill(std::begin(back), std::end(back), kUntouched);
      Failure failure;
      REQUIRE(mmio->store(device + 8, source + 1, width, failure) == Status::ok);
      REQUIRE(mmio->load(device + 8, back + 1, width, failure) == Status::ok);
      REQUIRE(std::equal(source + 1, source + 1 + width, device + 8));
      REQUIRE(std::equal(source + 1, source + 1 + width, back + 1));
      REQUIRE(device[7] == kUntouched);
      REQUIRE(device[8 + width] == kUntouched);
      REQUIRE(back[0] == kUntouched);
      REQUIRE(back[1 + width] == kUntouched);
    }
  }
}

TEST_CASE("the kernels chosen are some of those tested") {
  const auto all = runnable();
  const auto tested = [&](const Mmio* mmio) { return std::find(all.begin(), all.end(), mmio) != all.end(); };
  CHECK(tested(kernels().mapped));
  CHECK(tested(kernels().memory));
  if (kernels().burst != nullptr) CHECK(tested(kernels().burst));
}

#if defined(__s390x__)

TEST_CASE("a store block from any source reaches the MIO instruction at a multiple of 8, and no longer than a page") {
  test::MioUnit::install();
  test::MioUnit::strictSources = true;
  CHECK(kMio.sourceAlignment == 8);
  std::vector<uint8_t> source = test::Random(5).bytes(4096 + 8), device(4096 + 8);
  Failure failure;
  for (const uint32_t length : {16u, 24u, 128u, 4096u}) {
    for (uint32_t at = 0; at < 8; at++) {
      std::fill(device.begin(), device.end(), uint8_t{0});
      REQUIRE(kMio.storeBlock(device.data(), &source[at], length, failure) == Status::ok);
      REQUIRE(std::equal(device.begin(), device.begin() + length, source.begin() + at));
    }
  }
  CHECK(test::MioUnit::exceptions == 0);
  CHECK(kMio.storeBlock(device.data(), source.data(), 4104, failure) == Status::systemError);
  CHECK(failure.errorNumber == EINVAL);
  test::MioUnit::strictSources = false;
}

#endif

}  // namespace
}  // namespace ismio
