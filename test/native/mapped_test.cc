// The mapped backend and the guard: files that are not as asked, and files that go away while they are mapped.
#include "backend/mapped/mapped.h"

#include <doctest.h>
#include <linux/memfd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "region/counters.h"
#include "support/batch.h"
#include "support/pages.h"
#include "support/test_file.h"

namespace ismio {
namespace {

const uint64_t kPage = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

std::unique_ptr<Mapping> mapping(const std::string& path, File::Problem& problem, uint64_t offset = 0,
                                 uint64_t length = 0, bool writable = true) {
  return Mapping::open({path, offset, length, writable}, problem);
}

std::unique_ptr<Mapped> mapped(const TestFile& file, const Rules& rules = Rules{},
                               const Mmio* mmio = kernels().mapped) {
  File::Problem problem;
  auto made = mapping(file.path(), problem);
  REQUIRE(made != nullptr);
  return std::make_unique<Mapped>(std::move(made), rules, mmio);
}

std::vector<uint8_t> contents(const TestFile& file, uint64_t length) {
  std::vector<uint8_t> bytes(length);
  const int opened = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(read(opened, bytes.data(), length) == static_cast<ssize_t>(length));
  close(opened);
  return bytes;
}

TEST_CASE("a mapping is refused for a reason: nothing there, empty, too short, no file") {
  File::Problem problem;
  CHECK(mapping("/dev/shm/ismio-no-such-file", problem) == nullptr);
  CHECK(problem.refusal == File::Refusal::systemError);
  CHECK(problem.errorNumber == ENOENT);

  const TestFile empty(0);
  CHECK(mapping(empty.path(), problem) == nullptr);
  CHECK(problem.refusal == File::Refusal::empty);

  const TestFile small(100);
  CHECK(mapping(small.path(), problem, 0, 101) == nullptr);
  CHECK(problem.refusal == File::Refusal::tooShort);
  CHECK(problem.fileSize == 100);
  CHECK(mapping(small.path(), problem, kPage) == nullptr);
  CHECK(problem.refusal == File::Refusal::tooShort);
  CHECK(mapping(small.path(), problem, kPage, UINT64_MAX) == nullptr);
  CHECK(problem.refusal == File::Refusal::tooShort);

  CHECK(mapping("/dev/shm", problem, 0, 0, false) == nullptr);
  CHECK(problem.refusal == File::Refusal::notRegular);
}

TEST_CASE("a pipe that nobody writes to is refused, not waited for") {
  const TestFile file(1);
  const std::string pipe = file.path() + ".pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  File::Problem problem;
  CHECK(mapping(pipe, problem, 0, 0, false) == nullptr);
  CHECK(problem.refusal == File::Refusal::notRegular);
  unlink(pipe.c_str());
}

TEST_CASE("an offset maps the file from there on") {
  const TestFile file(3 * kPage);
  File::Problem problem;
  const auto tail = mapping(file.path(), problem, kPage);
  REQUIRE(tail != nullptr);
  CHECK(tail->length() == 2 * kPage);
}

TEST_CASE("what is stored is in the file, and a store block that breaks a rule is not") {
  const TestFile file(2 * kPage);
  const auto backend = mapped(file);
  const std::vector<uint8_t> bytes(4096, 0x77);
  Failure failure;
  CHECK(backend->storeBlock(1, bytes.data(), 100, failure) == Status::ok);
  CHECK(backend->storeBlock(4000, bytes.data(), 100, failure) == Status::ruleBroken);
  CHECK(failure.rule == Rule::boundary);
  const std::vector<uint8_t> there = contents(file, 4100);
  CHECK(there[0] == 0);
  CHECK(there[1] == 0x77);
  CHECK(there[100] == 0x77);
  CHECK(there[101] == 0);
  CHECK(there[4000] == 0);
}

TEST_CASE("words and blocks handed over together arrive in their places") {
  const TestFile file(2 * kPage);
  const auto backend = mapped(file);
  const Word words[] = {{8, 1}, {4096, 2}, {16, 3}};
  uint64_t done = 0;
  Failure failure;
  CHECK(backend->storeWords(words, 3, done, failure) == Status::ok);
  CHECK(done == 3);
  for (const Word& word : words) {
    uint64_t value = 0;
    CHECK(backend->load(word.offset, reinterpret_cast<uint8_t*>(&value), 8, failure) == Status::ok);
    CHECK(value == word.bytes);
  }
  const std::vector<uint8_t> bytes(64, 9);
  const Block blocks[] = {{100, bytes.data(), 64}, {4090, bytes.data(), 64}, {300, bytes.data(), 64}};
  CHECK(backend->storeBlocks(blocks, 3, done, failure) == Status::ruleBroken);
  CHECK(done == 1);
}

TEST_CASE("a file that is truncated while it is mapped loses the region; the process lives") {
  for (const Mmio* mmio : {kernels().mapped, kernels().memory}) {
    const TestFile file(4 * kPage);
    const auto backend = mapped(file, Rules{}, mmio);
    std::vector<uint8_t> bytes(256, 1);
    Failure failure;
    uint64_t done = 0;
    CHECK(backend->load(3 * kPage, bytes.data(), 8, failure) == Status::ok);
    file.resize(kPage);
    CHECK(backend->load(0, bytes.data(), 8, failure) == Status::ok);
    CHECK(backend->loadWords(2 * kPage, bytes.data(), 8, done, failure) == Status::regionLost);
    CHECK(done == 0);
    CHECK(backend->load(0, bytes.data(), 8, failure) == Status::regionLost);
    CHECK(backend->store(0, bytes.data(), 8, failure) == Status::regionLost);
    CHECK(backend->storeBlock(3 * kPage, bytes.data(), 256, failure) == Status::regionLost);
  }
}

TEST_CASE("memory may be touched in place, a device loaded from where loads keep its order, and bursts not at all") {
  const TestFile file(2 * kPage);
  const InPlace memory = mapped(file, Rules{}, kernels().memory)->inPlace();
  CHECK(memory.length == 2 * kPage);
  CHECK_FALSE(memory.device);
  const InPlace device = mapped(file, Rules{}, kernels().mapped)->inPlace();
  CHECK(device.length == (order::kOfAccesses ? 0 : 2 * kPage));
  CHECK((device.length == 0 || device.device));
  if (kernels().burst != nullptr) CHECK(mapped(file, Rules{}, kernels().burst)->inPlace().length == 0);
}

TEST_CASE("whoever touches a mapping in place sees by one byte that it is lost") {
  const TestFile file(2 * kPage);
  const auto backend = mapped(file, Rules{}, kernels().memory);
  const InPlace offered = backend->inPlace();
  volatile uint8_t* const last = offered.base + kPage;
  *last = 7;
  CHECK(offered.lost->load() == 0);
  file.resize(kPage);
  CHECK(*last == 0);
  CHECK((offered.lost->load() & 0xff) != 0);
}

TEST_CASE("what is counted by width adds up to loads, stores and bytes") {
  CounterSet set;
  Counters& counters = *set.take();
  counters.loads.add(1);
  counters.bytes.add(3);
  for (size_t i = 0; i < CountsInPlace::kWidths; i++) {
    counters.inPlace.loads[i].store(static_cast<double>(i + 1));
    counters.inPlace.stores[i].store(10);
  }
  Totals ofCalls;
  counters.addTo(ofCalls);
  CHECK(ofCalls.loads == 1);
  const Totals totals = set.sum();
  CHECK(totals.loads == 1 + 1 + 2 + 3 + 4);
  CHECK(totals.stores == 40);
  CHECK(totals.bytes == 3 + (1 + 2 * 2 + 3 * 4 + 4 * 8) + 10 * (1 + 2 + 4 + 8));
  CHECK(totals.crossings == 0);
}

TEST_CASE("losing one region leaves another alone") {
  const TestFile lost(kPage), kept(kPage);
  const auto first = mapped(lost);
  const auto second = mapped(kept);
  lost.resize(0);
  uint64_t value = 5;
  Failure failure;
  CHECK(first->store(0, reinterpret_cast<uint8_t*>(&value), 8, failure) == Status::regionLost);
  CHECK(second->store(0, reinterpret_cast<uint8_t*>(&value), 8, failure) == Status::ok);
}

TEST_CASE("a SIGBUS that is none of ours ends the process, as it would without us") {
  const pid_t child = fork();
  if (child == 0) {
    const TestFile watched(kPage), other(kPage);
    const auto backend = mapped(watched);
    const int opened = open(other.path().c_str(), O_RDWR | O_CLOEXEC);
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0);
    other.resize(0);
    other.remove();
    watched.remove();
    *static_cast<volatile char*>(page) = 1;
    _exit(backend == nullptr);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGBUS);
}

TEST_CASE("more mappings than any table of a fixed size are watched, each for itself") {
  const TestFile file(kPage), other(kPage);
  std::vector<std::unique_ptr<Mapped>> open;
  open.reserve(3000);
  for (int i = 0; i < 3000; i++) open.push_back(mapped(i == 2999 ? other : file));
  file.resize(0);
  uint64_t value = 5;
  Failure failure;
  for (size_t i = 0; i < open.size(); i += 100) {
    CHECK(open[i]->load(0, reinterpret_cast<uint8_t*>(&value), 8, failure) == Status::regionLost);
  }
  CHECK(open.back()->load(0, reinterpret_cast<uint8_t*>(&value), 8, failure) == Status::ok);
}

// How many mappings of this process lie in [base, base + length).
int mappingsIn(const uint8_t* base, uint64_t length) {
  std::ifstream maps("/proc/self/maps");
  int found = 0;
  for (std::string line; std::getline(maps, line);) {
    const uint64_t start = std::stoull(line, nullptr, 16);
    const uint64_t end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    const auto from = reinterpret_cast<uint64_t>(base);
    found += start < from + length && end > from ? 1 : 0;
  }
  return found;
}

TEST_CASE("a lost mapping of many pages is one mapping still, and is not touched again") {
  const TestFile file(64 * kPage);
  File::Problem problem;
  auto made = mapping(file.path(), problem);
  REQUIRE(made != nullptr);
  uint8_t* base = made->base();
  const auto region =
      test::regionOver(std::make_unique<Mapped>(std::move(made), Rules{}, kernels().mapped), 64 * kPage, Rules{});
  const Attachment attachment(region);
  Issuer issuer(attachment);
  file.resize(0);
  uint64_t value = 5;
  auto* bytes = reinterpret_cast<uint8_t*>(&value);
  Failure failure;
  for (uint64_t page = 0; page < 64; page += 2) {
    CHECK(region->backend().store(page * kPage, bytes, 8, failure) == Status::regionLost);
    CHECK(failure.loss == Loss::truncated);
  }
  CHECK_FALSE(region->lost());
  CHECK(issuer.store(0, bytes, 8, failure) == Status::regionLost);
  CHECK(region->lost());
  CHECK(mappingsIn(base, 64 * kPage) == 1);

  // Whoever touched it now would end: these pages may be neither read nor written.
  REQUIRE(mprotect(base, 64 * kPage, PROT_NONE) == 0);
  const std::vector<uint8_t> source(64, 1);
  std::vector<uint8_t> target(64);
  const Word words[] = {{0, 1}, {8, 2}};
  const Block blocks[] = {{0, source.data(), 64}, {64, source.data(), 64}};
  uint64_t done = 9;
  CHECK(issuer.load(8, bytes, 8, failure) == Status::regionLost);
  CHECK(issuer.store(8, bytes, 8, failure) == Status::regionLost);
  CHECK(issuer.read(0, target.data(), 64, failure) == Status::regionLost);
  CHECK(failure.done == 0);
  CHECK(issuer.storeWords(words, 2, done, failure) == Status::regionLost);
  CHECK(issuer.storeBlock(0, source.data(), 64, failure) == Status::regionLost);
  CHECK(issuer.storeBlocks(blocks, 2, done, failure) == Status::regionLost);
  CHECK(done == 0);
  CHECK(issuer.write(0, source.data(), 64, failure) == Status::regionLost);
  CHECK(failure.loss == Loss::truncated);
}

TEST_CASE("a region that begins and ends within a page is mapped from that page on, and unmapped whole") {
  const TestFile file(3 * kPage);
  File::Problem problem;
  auto made = mapping(file.path(), problem, kPage / 2, kPage);
  REQUIRE(made != nullptr);
  CHECK(made->length() == kPage);
  const uint8_t* base = made->base();
  const_cast<uint8_t*>(base)[0] = 7;
  CHECK(contents(file, kPage)[kPage / 2] == 7);
  made.reset();
  CHECK(mappingsIn(base - kPage / 2, 2 * kPage) == 0);
  CHECK(pagesLeft() == 0);
}

// A file in huge pages, which the system may have none of.
struct HugeFile {
  static constexpr uint64_t kHuge = 2u << 20;
  int descriptor = memfd_create("ismio-huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
  ~HugeFile() {
    if (descriptor >= 0) close(descriptor);
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }
  // Whether the system maps the page there at all: there may be none free, and emulators of user programs map none.
  bool mappable(uint64_t offset) const {
    const auto place = static_cast<off_t>(offset);
    void* page = mmap(nullptr, kHuge, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, place);
    return page != MAP_FAILED && munmap(page, kHuge) == 0;
  }
};

TEST_CASE("on hugetlbfs any offset and length are mapped, unmapped whole, and lost as one") {
  const HugeFile file;
  if (file.descriptor < 0 || ftruncate(file.descriptor, 2 * HugeFile::kHuge) != 0) return;
  for (const auto& [offset, length] : {std::pair{uint64_t{4096}, uint64_t{100}}, {HugeFile::kHuge + 8192, 4096}}) {
    File::Problem problem;
    auto made = mapping(file.path(), problem, offset, length);
    if (made == nullptr && !file.mappable(offset & ~(HugeFile::kHuge - 1))) {
      MESSAGE("no huge page to be had here: not tested");
      return;
    }
    REQUIRE(made != nullptr);
    uint8_t* base = made->base();
    base[0] = 9;
    uint8_t there = 0;
    CHECK(pread(file.descriptor, &there, 1, static_cast<off_t>(offset)) == 1);
    CHECK(there == 9);
    auto backend = std::make_unique<Mapped>(std::move(made), Rules{}, kernels().mapped);
    REQUIRE(ftruncate(file.descriptor, 0) == 0);
    Failure failure;
    CHECK(backend->load(0, &there, 1, failure) == Status::regionLost);
    CHECK(failure.loss == Loss::truncated);
    backend.reset();
    CHECK(mappingsIn(base, length) == 0);
    REQUIRE(ftruncate(file.descriptor, 2 * HugeFile::kHuge) == 0);
  }
}

}  // namespace
}  // namespace ismio
