// The VFIO backend on a memfd: which status an errno becomes, what counts as done when only a part went through, and
// which accesses of a region that is mapped in parts go where.
#include "backend/vfio/vfio.h"

#include <doctest.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "exec/issuer.h"
#include "support/batch.h"
#include "vfio/kernel.h"

namespace ismio {
namespace {

const uint64_t kPage = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

// Stands for a device's file. It cannot grow, so a store past its end is refused.
class DeviceFile {
 public:
  explicit DeviceFile(uint64_t size) : number_(memfd_create("device", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    REQUIRE(number_ >= 0);
    REQUIRE(ftruncate(number_, static_cast<off_t>(size)) == 0);
    REQUIRE(fcntl(number_, F_ADD_SEALS, F_SEAL_GROW) == 0);
  }
  ~DeviceFile() { close(number_); }
  DeviceFile(const DeviceFile&) = delete;
  DeviceFile& operator=(const DeviceFile&) = delete;

  int number() const { return number_; }
  uint64_t word(uint64_t offset) const {
    uint64_t value = 0;
    REQUIRE(pread(number_, &value, sizeof value, static_cast<off_t>(offset)) == sizeof value);
    return value;
  }
  void put(uint64_t offset, uint64_t value) const {
    REQUIRE(pwrite(number_, &value, sizeof value, static_cast<off_t>(offset)) == sizeof value);
  }

 private:
  const int number_;
};

std::shared_ptr<Descriptor> duplicate(int descriptor) {
  int errorNumber = 0;
  auto made = Descriptor::duplicate(descriptor, errorNumber);
  REQUIRE(made != nullptr);
  return made;
}

std::unique_ptr<Vfio> backendOn(int descriptor, uint64_t base = 0, const Rules& rules = Rules{}) {
  return std::make_unique<Vfio>(duplicate(descriptor), base, rules);
}

template <class Value>
uint8_t* bytesOf(Value& value) {
  return reinterpret_cast<uint8_t*>(&value);
}

TEST_CASE("accesses of every width go to their place behind the base") {
  const DeviceFile file(4 * kPage);
  const auto backend = backendOn(file.number(), 2 * kPage);
  Failure failure;
  for (const uint32_t width : {1u, 2u, 4u, 8u}) {
    uint64_t stored = 0x1122334455667788u, loaded = 0;
    CHECK(backend->store(64, bytesOf(stored), width, failure) == Status::ok);
    CHECK(backend->load(64, bytesOf(loaded), width, failure) == Status::ok);
    CHECK(memcmp(&stored, &loaded, width) == 0);
  }
  CHECK(file.word(2 * kPage + 64) == 0x1122334455667788u);
  CHECK(file.word(64) == 0);
}

TEST_CASE("a descriptor is the backend's own: closing the one it was made of takes nothing away") {
  const DeviceFile file(kPage);
  const int other = fcntl(file.number(), F_DUPFD_CLOEXEC, 0);
  const auto backend = backendOn(other);
  close(other);
  Failure failure;
  uint64_t value = 7;
  CHECK(backend->store(0, bytesOf(value), 8, failure) == Status::ok);
  CHECK(file.word(0) == 7);
}

TEST_CASE("what is no descriptor is refused with its errno") {
  int errorNumber = 0;
  CHECK(Descriptor::duplicate(-1, errorNumber) == nullptr);
  CHECK(errorNumber == EBADF);
}

TEST_CASE("a load past the end answers EIO, as the device does that has gone") {
  const DeviceFile file(20);
  const auto backend = backendOn(file.number());
  Failure failure;
  uint64_t value = 0;
  CHECK(backend->load(16, bytesOf(value), 4, failure) == Status::ok);
  CHECK(backend->load(16, bytesOf(value), 8, failure) == Status::deviceError);
  CHECK(failure.errorNumber == EIO);
  CHECK(failure.conditionCode == 0);
  CHECK(backend->load(64, bytesOf(value), 1, failure) == Status::deviceError);
}

TEST_CASE("of a run of loads that ends early, the whole words count as done") {
  const DeviceFile file(44);
  file.put(0, 1);
  file.put(32, 5);
  const auto backend = backendOn(file.number());
  std::vector<uint64_t> words(16, 99);
  Failure failure;
  uint64_t done = 0;
  CHECK(backend->loadWords(0, bytesOf(words[0]), 5, done, failure) == Status::ok);
  CHECK(done == 5);
  CHECK(backend->loadWords(0, bytesOf(words[0]), 16, done, failure) == Status::deviceError);
  CHECK(done == 5);
  CHECK(words[0] == 1);
  CHECK(words[4] == 5);
  CHECK(words[6] == 99);
  CHECK(backend->loadWords(64, bytesOf(words[0]), 2, done, failure) == Status::deviceError);
  CHECK(done == 0);
}

TEST_CASE("a store that the kernel refuses has the kernel's errno, and one that it cuts short is a failure too") {
  const DeviceFile file(kPage);
  const auto backend = backendOn(file.number(), 0, Rules{1u << 20, 1u << 20, Alignment::relaxed, true});
  std::vector<uint8_t> bytes(2 * kPage, 5);
  Failure failure;
  CHECK(backend->store(kPage, bytes.data(), 8, failure) == Status::systemError);
  CHECK(failure.errorNumber == EPERM);
  CHECK(backend->storeBlock(kPage, bytes.data(), 64, failure) == Status::systemError);
  CHECK(failure.rule == Rule::none);
  CHECK(backend->storeBlock(0, bytes.data(), static_cast<uint32_t>(2 * kPage), failure) == Status::deviceError);
  CHECK(failure.errorNumber == EIO);
}

TEST_CASE("a descriptor that is no file any more answers EBADF to everything") {
  const DeviceFile file(kPage);
  const auto descriptor = duplicate(file.number());
  Vfio backend(descriptor, 0, Rules{});
  // What stands at its number now can neither be read nor written.
  const int path = open("/", O_PATH | O_CLOEXEC);
  REQUIRE(dup3(path, descriptor->number(), O_CLOEXEC) >= 0);
  close(path);
  Failure failure;
  uint64_t value = 0, done = 9;
  CHECK(backend.load(0, bytesOf(value), 8, failure) == Status::systemError);
  CHECK(failure.errorNumber == EBADF);
  CHECK(backend.loadWords(0, bytesOf(value), 1, done, failure) == Status::systemError);
  CHECK(done == 0);
  CHECK(backend.store(0, bytesOf(value), 1, failure) == Status::systemError);
  CHECK(backend.storeBlock(0, bytesOf(value), 8, failure) == Status::systemError);
}

TEST_CASE("store blocks that break a rule never reach the kernel, and have the errno it would give") {
  const DeviceFile file(2 * kPage);
  const auto backend = backendOn(file.number(), 0, Rules{128, 4096, Alignment::strict, true});
  const std::vector<uint8_t> bytes(256, 5);
  const struct {
    uint64_t offset;
    uint32_t length;
    Rule rule;
    int errorNumber;
  } refusals[] = {{0, 0, Rule::length, ENXIO},           {0, 8, Rule::length, ENXIO},
                  {0, 136, Rule::maxStoreBlock, EINVAL}, {4096 - 8, 16, Rule::boundary, EINVAL},
                  {4, 16, Rule::offsetAlignment, ENXIO}, {8, 20, Rule::lengthAlignment, ENXIO}};
  for (const auto& [offset, length, rule, errorNumber] : refusals) {
    Failure failure;
    CHECK(backend->storeBlock(offset, bytes.data(), length, failure) == Status::ruleBroken);
    CHECK(failure.rule == rule);
    CHECK(failure.errorNumber == errorNumber);
  }
  for (uint64_t offset = 0; offset < 2 * kPage; offset += 8) CHECK(file.word(offset) == 0);
  Failure failure;
  CHECK(backend->storeBlock(8, bytes.data(), 16, failure) == Status::ok);
}

// Pages 1 and 3 of five are mapped; the others are reached through the descriptor.
class InParts {
 public:
  explicit InParts(const DeviceFile& file, const Mmio* mmio = kernels().mapped) : rest_(duplicate(file.number())) {
    std::vector<PartlyMapped::Area> areas;
    for (const uint64_t page : {1, 3}) {
      File::Problem problem;
      auto mapping = Mapping::of(file.number(), page * kPage, kPage, true, problem);
      REQUIRE(mapping != nullptr);
      areas.push_back({page * kPage, kPage, std::make_unique<Mapped>(std::move(mapping), Rules{}, mmio)});
    }
    backend_ = std::make_unique<PartlyMapped>(std::move(areas), std::make_unique<Vfio>(rest_, 0, Rules{}));
  }
  PartlyMapped* operator->() const { return backend_.get(); }
  std::unique_ptr<PartlyMapped> take() { return std::move(backend_); }

  // From now on only what is mapped can be accessed.
  void loseDescriptor() const {
    const int path = open("/", O_PATH | O_CLOEXEC);
    REQUIRE(dup3(path, rest_->number(), O_CLOEXEC) >= 0);
    close(path);
  }

 private:
  const std::shared_ptr<Descriptor> rest_;
  std::unique_ptr<PartlyMapped> backend_;
};

TEST_CASE("accesses in a mapped area go to the mapping, all others through the descriptor") {
  const DeviceFile file(5 * kPage);
  const InParts parts(file);
  parts.loseDescriptor();
  for (uint64_t offset = 0; offset < 5 * kPage; offset += 8) {
    const bool mapped = offset / kPage == 1 || offset / kPage == 3;
    const Status expected = mapped ? Status::ok : Status::systemError;
    Failure failure;
    uint64_t value = offset + 1;
    CHECK(parts->store(offset, bytesOf(value), 8, failure) == expected);
    CHECK(parts->load(offset + 7, bytesOf(value), 1, failure) == expected);
    CHECK(parts->storeBlock(offset, bytesOf(value), 8, failure) == expected);
  }
}

TEST_CASE("what was stored through one way is loaded through the other, up to each border") {
  const DeviceFile file(5 * kPage);
  const InParts parts(file);
  Failure failure;
  uint64_t done = 0;
  for (uint64_t offset = 0; offset < 5 * kPage; offset += 8) {
    uint64_t value = offset + 1;
    CHECK(parts->store(offset, bytesOf(value), 8, failure) == Status::ok);
  }
  for (uint64_t offset = 0; offset < 5 * kPage; offset += 8) CHECK(file.word(offset) == offset + 1);
  std::vector<uint64_t> words(5 * kPage / 8);
  CHECK(parts->loadWords(0, bytesOf(words[0]), words.size(), done, failure) == Status::ok);
  CHECK(done == words.size());
  for (uint64_t i = 0; i < words.size(); i++) CHECK(words[i] == i * 8 + 1);
  parts->fence();
}

TEST_CASE("a block across the border of an area is refused by its rule, wherever it begins") {
  const DeviceFile file(5 * kPage);
  const InParts parts(file);
  const std::vector<uint8_t> bytes(64, 5);
  for (uint64_t border = kPage; border < 5 * kPage; border += kPage) {
    Failure failure;
    CHECK(parts->storeBlock(border - 32, bytes.data(), 64, failure) == Status::ruleBroken);
    CHECK(failure.rule == Rule::boundary);
    CHECK(failure.errorNumber == EINVAL);
    CHECK(file.word(border - 32) == 0);
    CHECK(file.word(border) == 0);
  }
}

TEST_CASE("a run of loads over areas ends where the descriptor does, with what came before done") {
  const DeviceFile file(5 * kPage);
  const InParts parts(file);
  parts.loseDescriptor();
  std::vector<uint64_t> words(kPage / 8);
  Failure failure;
  uint64_t done = 0;
  CHECK(parts->loadWords(2 * kPage - 80, bytesOf(words[0]), 20, done, failure) == Status::systemError);
  CHECK(done == 10);
  CHECK(failure.errorNumber == EBADF);
}

// How many read calls this thread has made; 0 where the kernel does not tell.
uint64_t readCalls() {
  FILE* io = fopen("/proc/thread-self/io", "re");
  if (io == nullptr) return 0;
  uint64_t calls = 0;
  char line[64];
  while (fgets(line, sizeof line, io) != nullptr) {
    if (sscanf(line, "syscr: %" SCNu64, &calls) == 1) break;
  }
  fclose(io);
  return calls;
}

// Of `act`, besides the calls that counting makes itself.
template <class Act>
uint64_t readCallsOf(Act&& act) {
  const uint64_t first = readCalls();
  const uint64_t second = readCalls();
  act();
  return readCalls() - second - (second - first);
}

Rules registerRules() {
  Rules rules;
  rules.mergeable = false;
  return rules;
}

TEST_CASE("a read makes one call for a page of words, and of registers one for each load") {
  const DeviceFile file(2 * kPage);
  if (readCalls() == 0) return;
  uint8_t target[128];
  const auto callsOf = [&](std::unique_ptr<Backend> backend, const Rules& rules) {
    const auto region = test::regionOver(std::move(backend), 2 * kPage, rules);
    const Attachment attachment(region);
    Issuer issuer(attachment);
    Failure failure;
    const uint64_t calls = readCallsOf([&] { issuer.read(0, target, sizeof target, failure); });
    CHECK(failure.status == Status::ok);
    CHECK(region->counters().sum().loads == 16);
    return calls;
  };
  CHECK(callsOf(backendOn(file.number()), Rules{}) == 1);
  CHECK(callsOf(backendOn(file.number(), 0, registerRules()), registerRules()) == 16);
  const DeviceFile five(5 * kPage);
  CHECK(callsOf(InParts(five).take(), Rules{}) == 16);
}

TEST_CASE("a block that the kernel of the mapped areas copies on its way is counted, also in a region in parts") {
  const DeviceFile file(5 * kPage);
  Mmio copying = *kernels().mapped;
  copying.sourceAlignment = 8;
  InParts parts(file, &copying);
  const auto region = test::regionOver(parts.take(), 5 * kPage, Rules{});
  const Attachment attachment(region);
  Issuer issuer(attachment);
  alignas(8) const uint8_t source[136] = {};
  const auto copiesOf = [&](auto&& store) {
    const uint64_t before = region->counters().sum().copies;
    Failure failure;
    CHECK(store(failure) == Status::ok);
    return region->counters().sum().copies - before;
  };
  CHECK(copiesOf([&](Failure& failure) { return issuer.storeBlock(kPage, source, 64, failure); }) == 0);
  CHECK(copiesOf([&](Failure& failure) { return issuer.storeBlock(kPage, source + 1, 64, failure); }) == 1);
  CHECK(copiesOf([&](Failure& failure) { return issuer.write(kPage, source + 4, 128, failure); }) == 1);
  CHECK(copiesOf([&](Failure& failure) {
          const Block blocks[] = {{kPage, source + 1, 64}, {kPage, source, 64}, {3 * kPage, source + 2, 64}};
          uint64_t done = 0;
          return issuer.storeBlocks(blocks, 3, done, failure);
        }) == 2);
}

// The memory of this process as a device's file: two pages of a file that has one, so that a load of the second fails
// with EIO. Where this is not to be had (QEMU's user mode), `works` is false.
class HalfThere {
 public:
  HalfThere()
      : pages_(static_cast<uint8_t*>(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file_.number(), 0))),
        number_(open("/proc/self/mem", O_RDWR | O_CLOEXEC)) {
    REQUIRE(pages_ != MAP_FAILED);
    memset(pages_, 0x5a, kPage);
    uint64_t word = 0;
    works = pread(number_, &word, 8, static_cast<off_t>(base())) == 8 && word == 0x5a5a5a5a5a5a5a5au &&
            pread(number_, &word, 8, static_cast<off_t>(base() + kPage)) < 0 && errno == EIO;
  }
  ~HalfThere() {
    munmap(pages_, 2 * kPage);
    if (number_ >= 0) close(number_);
  }
  HalfThere(const HalfThere&) = delete;
  HalfThere& operator=(const HalfThere&) = delete;

  std::unique_ptr<Vfio> backend(const Rules& rules) const { return backendOn(number_, base(), rules); }

  // A read from `offset` on that ends 40 bytes behind what is there.
  static Failure read(std::unique_ptr<Backend> backend, const Rules& rules, uint64_t offset, uint64_t& loads) {
    const auto region = test::regionOver(std::move(backend), 2 * kPage, rules);
    const Attachment attachment(region);
    Issuer issuer(attachment);
    std::vector<uint8_t> target(kPage + 40 - offset);
    Failure failure;
    CHECK(issuer.read(offset, target.data(), target.size(), failure) == Status::deviceError);
    CHECK(failure.errorNumber == EIO);
    CHECK(failure.done == kPage - offset);
    CHECK(target[kPage - offset - 1] == 0x5a);
    loads = region->counters().sum().loads;
    return failure;
  }

  bool works = false;

 private:
  uint64_t base() const { return reinterpret_cast<uint64_t>(pages_); }
  const DeviceFile file_{kPage};
  uint8_t* const pages_;
  const int number_;
};

TEST_CASE("where words are loaded together, a read that fails says how many loads nobody knows of") {
  const HalfThere device;
  if (!device.works) return;
  uint64_t loads = 0;
  const Failure failure = HalfThere::read(device.backend(Rules{}), Rules{}, kPage - 4096, loads);
  CHECK(loads == 512);
  CHECK(failure.unknownLoads == 5);
}

TEST_CASE("registers are loaded one by one, so a read that fails half way counts exactly") {
  const HalfThere device;
  if (!device.works) return;
  uint64_t loads = 0;
  const Failure failure = HalfThere::read(device.backend(registerRules()), registerRules(), kPage - 4096, loads);
  CHECK(loads == 512);
  CHECK(failure.unknownLoads == 0);
  CHECK(failure.offset == kPage);
  CHECK(failure.length == 8);
}

TEST_CASE("a region in parts is loaded one by one through its descriptor too: of no load nobody knows") {
  const HalfThere device;
  if (!device.works) return;
  const DeviceFile file(kPage);
  for (uint64_t offset = 0; offset < kPage; offset += 8) file.put(offset, 0x5a5a5a5a5a5a5a5au);
  File::Problem problem;
  auto mapping = Mapping::of(file.number(), 0, kPage, true, problem);
  REQUIRE(mapping != nullptr);
  std::vector<PartlyMapped::Area> areas;
  areas.push_back({0, kPage, std::make_unique<Mapped>(std::move(mapping), Rules{}, kernels().mapped)});
  auto parts = std::make_unique<PartlyMapped>(std::move(areas), device.backend(Rules{}));
  uint64_t loads = 0;
  const Failure failure = HalfThere::read(std::move(parts), Rules{}, kPage - 80, loads);
  CHECK(loads == 10);
  CHECK(failure.unknownLoads == 0);
  CHECK(failure.offset == kPage);
}

// QEMU's user mode knows no ioctl of VFIO and answers ENOSYS to all of them.
bool refusedAs(vfio::Answer answer, int errorNumber) { return answer == -errorNumber || answer == -ENOSYS; }

TEST_CASE("calls on what is no VFIO file answer -errno") {
  const DeviceFile file(kPage);
  uint8_t buffer[64] = {};
  CHECK(refusedAs(vfio::apiVersion(file.number()), ENOTTY));
  CHECK(refusedAs(vfio::groupStatus(file.number()), ENOTTY));
  CHECK(refusedAs(vfio::deviceInfo(file.number(), buffer, sizeof buffer), ENOTTY));
  CHECK(refusedAs(vfio::regionInfo(file.number(), 0, buffer, sizeof buffer), ENOTTY));
  CHECK(refusedAs(vfio::irqInfo(file.number(), 0, buffer, sizeof buffer), ENOTTY));
  CHECK(refusedAs(vfio::setIrqs(file.number(), 33, 0, 0, 0, nullptr), ENOTTY));
  CHECK(refusedAs(vfio::bindIommufd(file.number(), file.number()), ENOTTY));
  CHECK(refusedAs(vfio::mapIoas(file.number(), 1, 0, buffer, kPage, 6), ENOTTY));
  CHECK(refusedAs(vfio::resetDevice(-1), EBADF));
  CHECK(refusedAs(vfio::probeZpciError(file.number()), ENOTTY));
  CHECK(refusedAs(vfio::zpciError(file.number(), buffer), ENOTTY));
  CHECK(vfio::open("/dev/shm/ismio-no-such-file") == -ENOENT);
  CHECK(vfio::pread(file.number(), buffer, 8, UINT64_MAX) == -EINVAL);
}

}  // namespace
}  // namespace ismio
