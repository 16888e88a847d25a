// The mapped backend and the guard: files that are not as asked, and files that go away while they are mapped.
#include "backend/mapped/mapped.h"

#include <doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace ismio {
namespace {

const uint64_t kPage = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

// A file in a folder of its own, gone with the test.
class File {
 public:
  explicit File(uint64_t size) {
    REQUIRE(mkdtemp(folder_) != nullptr);
    path_ = std::string(folder_) + "/file";
    const int made = open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(made >= 0);
    close(made);
    resize(size);
  }
  ~File() { remove(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  void remove() const {
    unlink(path_.c_str());
    rmdir(folder_);
  }
  void resize(uint64_t size) const { REQUIRE(truncate(path_.c_str(), static_cast<off_t>(size)) == 0); }

 private:
  char folder_[32] = "/dev/shm/ismio-XXXXXX";
  std::string path_;
};

std::unique_ptr<Mapping> mapping(const std::string& path, Mapping::Problem& problem, uint64_t offset = 0,
                                 uint64_t length = 0, bool writable = true) {
  return Mapping::open({path, offset, length, writable}, problem);
}

std::unique_ptr<Mapped> mapped(const File& file, const Rules& rules = Rules{}, const Mmio* mmio = kernels().mapped) {
  Mapping::Problem problem;
  auto made = mapping(file.path(), problem);
  REQUIRE(made != nullptr);
  return std::make_unique<Mapped>(std::move(made), rules, mmio);
}

std::vector<uint8_t> contents(const File& file, uint64_t length) {
  std::vector<uint8_t> bytes(length);
  const int opened = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(read(opened, bytes.data(), length) == static_cast<ssize_t>(length));
  close(opened);
  return bytes;
}

TEST_CASE("a mapping is refused for a reason: nothing there, empty, too short, no file") {
  Mapping::Problem problem;
  CHECK(mapping("/dev/shm/ismio-no-such-file", problem) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::systemError);
  CHECK(problem.errorNumber == ENOENT);

  const File empty(0);
  CHECK(mapping(empty.path(), problem) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::empty);

  const File small(100);
  CHECK(mapping(small.path(), problem, 0, 101) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::tooShort);
  CHECK(problem.fileSize == 100);
  CHECK(mapping(small.path(), problem, kPage) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::tooShort);
  CHECK(mapping(small.path(), problem, kPage, UINT64_MAX) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::tooShort);

  CHECK(mapping("/dev/shm", problem, 0, 0, false) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::notMappable);
}

TEST_CASE("a pipe that nobody writes to is refused, not waited for") {
  const File file(1);
  const std::string pipe = file.path() + ".pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  Mapping::Problem problem;
  CHECK(mapping(pipe, problem, 0, 0, false) == nullptr);
  CHECK(problem.refusal == Mapping::Refusal::notMappable);
  unlink(pipe.c_str());
}

TEST_CASE("an offset maps the file from there on") {
  const File file(3 * kPage);
  Mapping::Problem problem;
  const auto tail = mapping(file.path(), problem, kPage);
  REQUIRE(tail != nullptr);
  CHECK(tail->length() == 2 * kPage);
}

TEST_CASE("what is stored is in the file, and a store block that breaks a rule is not") {
  const File file(2 * kPage);
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
  const File file(2 * kPage);
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
    const File file(4 * kPage);
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

TEST_CASE("losing one region leaves another alone") {
  const File lost(kPage), kept(kPage);
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
    const File watched(kPage), other(kPage);
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

TEST_CASE("more mappings than can be watched are refused") {
  const File file(kPage);
  std::vector<std::unique_ptr<Mapping>> open;
  Mapping::Problem problem;
  while (auto next = mapping(file.path(), problem)) {
    open.push_back(std::move(next));
    REQUIRE(open.size() <= 1024);
  }
  CHECK(problem.refusal == Mapping::Refusal::tooMany);
  open.pop_back();
  CHECK(mapping(file.path(), problem) != nullptr);
}

}  // namespace
}  // namespace ismio
