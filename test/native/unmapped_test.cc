// A file that is read and written by system calls: it never grows, and what it lost is told.
#include "backend/vfio/unmapped.h"

#include <doctest.h>

#include <sys/stat.h>
#include <vector>

#include "support/test_file.h"

namespace ismio {
namespace {

std::unique_ptr<Unmapped> unmapped(const TestFile& file, uint64_t offset, uint64_t length) {
  File::Problem problem;
  File::Request request{file.path(), offset, length, true};
  auto opened = File::open(request, problem);
  REQUIRE(opened != nullptr);
  int errorNumber = 0;
  auto calls = std::make_unique<Vfio>(Descriptor::duplicate(opened->descriptor(), errorNumber), offset, Rules{});
  return std::make_unique<Unmapped>(std::move(opened), std::move(calls), offset + request.length);
}

off_t sizeOf(const TestFile& file) {
  struct stat status;
  REQUIRE(stat(file.path().c_str(), &status) == 0);
  return status.st_size;
}

TEST_CASE("no store makes a file longer that was truncated below the end of its region") {
  const TestFile file(8192);
  const std::vector<uint8_t> source(64, 1);
  const Word words[] = {{0, 1}, {8, 2}};
  const Block blocks[] = {{0, source.data(), 64}, {1024, source.data(), 64}};
  uint64_t done = 9;
  for (int way = 0; way < 4; way++) {
    file.resize(8192);
    const auto backend = unmapped(file, 4096, 2048);
    Failure failure;
    REQUIRE(backend->store(2040, source.data(), 8, failure) == Status::ok);
    file.resize(6143);
    failure = {};  // another call
    Status status = Status::ok;
    if (way == 0) status = backend->store(2040, source.data(), 8, failure);
    if (way == 1) status = backend->storeWords(words, 2, done, failure);
    if (way == 2) status = backend->storeBlock(64, source.data(), 64, failure);
    if (way == 3) status = backend->storeBlocks(blocks, 2, done, failure);
    CHECK(status == Status::regionLost);
    CHECK(failure.loss == Loss::truncated);
    CHECK(sizeOf(file) == 6143);

    file.resize(8192);
    failure = {};
    uint64_t word = 0;
    CHECK(backend->load(0, reinterpret_cast<uint8_t*>(&word), 8, failure) == Status::regionLost);
    CHECK(failure.loss == Loss::truncated);
  }
}

TEST_CASE("a call that makes many stores looks at the length before the first and from time to time") {
  const TestFile file(8192);
  const auto backend = unmapped(file, 0, 8192);
  const uint64_t word = 5;
  Failure failure;  // of one batch
  const auto store = [&](uint64_t offset) {
    return backend->store(offset, reinterpret_cast<const uint8_t*>(&word), 8, failure);
  };
  REQUIRE(store(0) == Status::ok);
  file.resize(4096);
  int stores = 1;
  while (store(0) == Status::ok) REQUIRE(++stores <= 64);
  CHECK(failure.loss == Loss::truncated);
  CHECK(sizeOf(file) == 4096);
}

TEST_CASE("a file that is longer than its region may lose what is not the region's") {
  const TestFile file(8192);
  const auto backend = unmapped(file, 0, 4096);
  file.resize(4096);
  const uint64_t word = 5;
  Failure failure;
  CHECK(backend->store(4088, reinterpret_cast<const uint8_t*>(&word), 8, failure) == Status::ok);
  CHECK(sizeOf(file) == 4096);
}

TEST_CASE("words that are not there any more are told as truncated, with those that were read before") {
  const TestFile file(4096);
  const auto backend = unmapped(file, 0, 4096);
  file.resize(1024);
  std::vector<uint8_t> target(4096);
  uint64_t done = 0;
  Failure failure;
  CHECK(backend->loadWords(0, target.data(), 512, done, failure) == Status::regionLost);
  CHECK(done == 128);
  CHECK(failure.loss == Loss::truncated);
}

}  // namespace
}  // namespace ismio
