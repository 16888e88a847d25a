// A device from inside: DMA map, interrupts, and the desk where accesses wait for the thread that answers them.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <doctest.h>
#include <fcntl.h>
#include <functional>
#include <linux/aio_abi.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "device/answered.h"
#include "device/describe.h"
#include "device/function.h"
#include "support/served.h"

namespace {

using namespace ismio;
using namespace ismio::device;
using namespace std::chrono_literals;

DmaMap::Mapping mapping(std::vector<uint8_t>& bytes, bool readable = true, bool writable = true) {
  return {bytes.size(), readable, writable, bytes.data(), nullptr, nullptr};
}

// Bytes by address, and how often they were asked for.
class Elsewhere final : public Far {
 public:
  int32_t read(uint64_t address, uint8_t* target, uint64_t length) override {
    for (uint64_t i = 0; i < length; i++) target[i] = static_cast<uint8_t>(address + i);
    asked++;
    return refusal;
  }
  int32_t write(uint64_t, const uint8_t*, uint64_t) override {
    asked++;
    return refusal;
  }
  int32_t refusal = 0;
  int asked = 0;
};

// Answers at once what `answers` says, and counts.
class Scripted final : public Answerer {
 public:
  bool answer(const std::shared_ptr<Request>& request, int32_t& error, Later later) override {
    asked++;
    if (promises) {
      if (later == nullptr) {
        error = EDEADLK;
        return true;
      }
      kept = std::move(later);
      return false;
    }
    request->word[0] = static_cast<uint8_t>(request->offset);
    error = refusal;
    return true;
  }
  void wake() override { woken++; }
  void wakeLater() override { woken++; }
  std::atomic<int> woken{0};
  int asked = 0;
  int32_t refusal = 0;
  bool promises = false;
  Later kept;
};

std::shared_ptr<Function> functionOf(const std::shared_ptr<Desk>& desk, bool answers = true,
                                     std::shared_ptr<Engine> engine = nullptr) {
  std::array<Bar, kBars> bars;
  bars[0].size = 8192;
  bars[0].answers = answers;
  bars[0].engine = std::move(engine);
  bars[0].areas.push_back({4096, 4096, Memory::allocate(4096), 0});
  return std::make_shared<Function>(1, desk, std::move(bars), 256, std::array<uint32_t, kIrqs>{1, 0, 4, 1, 1}, 16);
}

uint64_t countOf(int eventfd) {
  uint64_t count = 0;
  return read(eventfd, &count, sizeof count) == sizeof count ? count : 0;
}

// A descriptor for Interrupts::set, which takes it, and one to look at.
std::pair<int, int> eventfds() {
  const int own = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return {dup(own), own};
}

// Whether there is asynchronous I/O here: an emulator of one program has none.
bool kernelSignals() {
  aio_context_t context = 0;
  return syscall(SYS_io_setup, 1, &context) == 0 && syscall(SYS_io_destroy, context) == 0;
}

constexpr uint32_t kTrigger = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr uint32_t kOff = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;

}  // namespace

TEST_CASE("what no eventfd is takes no interrupts, and one that is full keeps nobody waiting") {
  Interrupts interrupts({0, 0, 4, 1, 1});
  const size_t open = test::openDescriptors();
  int ends[2] = {};
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  CHECK(interrupts.set(2, kTrigger, 0, 1, &ends[1], nullptr) == EINVAL);
  close(ends[0]);
  CHECK(test::openDescriptors() == open);
  const int full = eventfd(0, EFD_CLOEXEC);  // a write to it waits until somebody reads
  const uint64_t most = UINT64_MAX - 1;
  REQUIRE(write(full, &most, sizeof most) == sizeof most);
  const int given = dup(full);
  REQUIRE(interrupts.set(2, kTrigger, 0, 1, &given, nullptr) == 0);
  interrupts.raise(Irq::msix, 0);
  CHECK_FALSE(interrupts.pending(Irq::msix, 0));
  // The kernel's own way to signal goes one further than a write, and so cannot have waited for room.
  CHECK(countOf(full) == (kernelSignals() ? UINT64_MAX : most));
  for (int i = 0; i < 1000; i++) interrupts.raise(Irq::msix, 0);
  CHECK(countOf(full) == 1000);
  interrupts.raise(Irq::msix, 0);
  CHECK(countOf(full) == 1);
  close(full);
}

TEST_CASE("a desk that is served leaves what comes meanwhile for the next time, and wakes for it") {
  Scripted script;
  Desk desk(script);
  int done = 0;
  std::function<void()> again = [&] {
    done++;
    desk.put(again);
  };
  desk.put(again);
  desk.serve();
  CHECK(done == 1);
  CHECK(script.woken == 2);
  desk.serve();
  CHECK(done == 2);
  desk.end();
}

TEST_CASE("a desk that is waited at within waiting at it serves what comes for the outer one") {
  Scripted script;
  const auto desk = std::make_shared<Desk>(script);
  std::atomic<bool> outer{false};
  std::thread other;
  const auto soon = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  desk->put([&] {
    bool inner = false;
    desk->put([&] { inner = true; });
    CHECK(desk->serveUntil([&] { return inner; }, soon));
    other = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      desk->put([&] { outer = true; });
    });
  });
  CHECK(desk->serveUntil([&] { return outer.load(); }, soon));
  CHECK(std::chrono::steady_clock::now() < soon);
  other.join();
  desk->end();
}

TEST_CASE("a DMA map moves across mappings that lie one behind the other, and nothing past them") {
  DmaMap map(16);
  std::vector<uint8_t> first(4096, 1);
  std::vector<uint8_t> second(4096, 2);
  REQUIRE(map.map(0x1000, mapping(first)) == 0);
  REQUIRE(map.map(0x2000, mapping(second)) == 0);
  uint8_t bytes[4] = {};
  CHECK(map.read(0x1ffe, bytes, 4) == 0);
  CHECK(bytes[1] == 1);
  CHECK(bytes[2] == 2);
  const uint8_t source[4] = {9, 9, 9, 9};
  CHECK(map.write(0x2ffe, source, 4) == EFAULT);
  CHECK(map.read(0, bytes, 1) == EFAULT);
  CHECK(map.read(UINT64_MAX, bytes, 4) == EFAULT);
}

TEST_CASE("a DMA map refuses what overlaps, what is empty, and what is more than it may have") {
  DmaMap map(2);
  std::vector<uint8_t> bytes(4096);
  REQUIRE(map.map(0x4000, mapping(bytes)) == 0);
  CHECK(map.map(0x4fff, mapping(bytes)) == EEXIST);
  CHECK(map.map(0x3001, mapping(bytes)) == EEXIST);
  CHECK(map.map(UINT64_MAX - 4094, mapping(bytes)) == EINVAL);
  CHECK(map.map(0, {}) == EINVAL);
  CHECK(map.map(UINT64_MAX - 4095, mapping(bytes)) == 0);  // ends at exactly 2^64
  CHECK(map.map(0x8000, mapping(bytes)) == ENOSPC);
  uint64_t unmapped = 0;
  CHECK(map.unmap(UINT64_MAX - 4095, 4096, unmapped) == 0);
  CHECK(unmapped == 4096);
}

TEST_CASE("a DMA map is unmapped whole: a part of a mapping is refused, several go together, none is no error") {
  DmaMap map(16);
  std::vector<uint8_t> bytes(4096);
  for (const uint64_t iova : {0x1000, 0x2000, 0x4000}) REQUIRE(map.map(iova, mapping(bytes)) == 0);
  uint64_t unmapped = 0;
  CHECK(map.unmap(0x1000, 0x800, unmapped) == EINVAL);
  CHECK(map.unmap(0x1800, 0x1000, unmapped) == EINVAL);
  CHECK(map.mappings() == 3);
  CHECK(map.unmap(0x1000, 0x3000, unmapped) == 0);
  CHECK(unmapped == 0x2000);
  CHECK(map.unmap(0x1000, 0x3000, unmapped) == 0);
  CHECK(unmapped == 0);
  CHECK(map.unmap(0, UINT64_MAX, unmapped) == 0);
  CHECK(unmapped == 0x1000);
}

TEST_CASE("a device reads and writes as its mappings permit, and far memory through whoever has it") {
  DmaMap map(16);
  std::vector<uint8_t> bytes(4096, 7);
  const auto far = std::make_shared<Elsewhere>();
  REQUIRE(map.map(0x1000, mapping(bytes, true, false)) == 0);
  REQUIRE(map.map(0x2000, {4096, true, true, nullptr, nullptr, far}) == 0);
  uint8_t target[2] = {};
  CHECK(map.write(0x1000, target, 1) == EACCES);
  CHECK(map.read(0x1fff, target, 2) == 0);
  CHECK(target[0] == 7);
  CHECK(target[1] == 0);
  CHECK(far->asked == 1);
  far->refusal = EIO;
  CHECK(map.write(0x2000, target, 1) == EIO);
  CHECK(map.view(0x2000, 16).base == nullptr);
  CHECK(map.view(0x1000, 16).base == nullptr);  // may not be written
}

TEST_CASE("a range is covered by mappings one behind the other, all of them here, and for both directions") {
  DmaMap map(16);
  std::vector<uint8_t> bytes(4096);
  for (const uint64_t iova : {0x1000, 0x2000, 0x3000, 0x5000}) REQUIRE(map.map(iova, mapping(bytes)) == 0);
  REQUIRE(map.map(0x6000, mapping(bytes, true, false)) == 0);
  REQUIRE(map.map(0x7000, {4096, true, true, nullptr, nullptr, std::make_shared<Elsewhere>()}) == 0);
  REQUIRE(map.map(UINT64_MAX - 4095, mapping(bytes)) == 0);
  CHECK(map.covers(0x1000, 0x3000));
  CHECK(map.covers(0x1fff, 2));
  CHECK(map.covers(UINT64_MAX - 4095, 4096));
  CHECK_FALSE(map.covers(0x1000, 0x3001));
  CHECK_FALSE(map.covers(0x3fff, 0x1002));  // a page between is not mapped
  CHECK_FALSE(map.covers(0xfff, 2));
  CHECK_FALSE(map.covers(0x5000, 0x1001));  // may not be written
  CHECK_FALSE(map.covers(0x7000, 1));       // far
  CHECK_FALSE(map.covers(UINT64_MAX - 4095, 4097));
  CHECK(map.view(0x1fff, 2).base == nullptr);
}

TEST_CASE("an interrupt without an eventfd is pending, and signalled once when it gets one") {
  Interrupts interrupts({1, 0, 4, 1, 1});
  interrupts.raise(Irq::msix, 2);
  interrupts.raise(Irq::msix, 2);
  CHECK(interrupts.pending(Irq::msix, 2));
  const auto [given, kept] = eventfds();
  CHECK(interrupts.set(2, kTrigger, 2, 1, &given, nullptr) == 0);
  CHECK(countOf(kept) == 1);
  CHECK_FALSE(interrupts.pending(Irq::msix, 2));
  interrupts.raise(Irq::msix, 2);
  CHECK(countOf(kept) == 1);
  CHECK(interrupts.set(2, kOff, 0, 0, nullptr, nullptr) == 0);
  interrupts.raise(Irq::msix, 2);
  CHECK(countOf(kept) == 0);
  close(kept);
}

TEST_CASE("INTx masks itself, and is signalled again when it is unmasked while the level is up") {
  Interrupts interrupts({1, 0, 0, 0, 0});
  const auto [given, kept] = eventfds();
  REQUIRE(interrupts.set(0, kTrigger, 0, 1, &given, nullptr) == 0);
  interrupts.level(true);
  interrupts.level(true);
  CHECK(countOf(kept) == 1);
  constexpr uint32_t unmask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;
  CHECK(interrupts.set(0, unmask, 0, 1, nullptr, nullptr) == 0);
  CHECK(countOf(kept) == 1);
  interrupts.level(false);
  CHECK(interrupts.set(0, unmask, 0, 1, nullptr, nullptr) == 0);
  CHECK(countOf(kept) == 0);
  interrupts.level(true);
  CHECK(countOf(kept) == 1);
  close(kept);
}

TEST_CASE("what cannot be set is refused, and the descriptors that came with it are closed") {
  Interrupts interrupts({1, 0, 4, 1, 1});
  const auto refused = [&](uint32_t index, uint32_t flags, uint32_t start, uint32_t count) {
    const int given = eventfd(0, 0);
    std::vector<int> descriptors(count, -1);
    descriptors[0] = given;
    const bool closed =
        interrupts.set(index, flags, start, count, descriptors.data(), nullptr) == EINVAL && fcntl(given, F_GETFD) < 0;
    return closed;
  };
  CHECK(refused(7, kTrigger, 0, 1));
  CHECK(refused(2, kTrigger, 0, 5));
  CHECK(refused(2, kTrigger, 4, 1));
  CHECK(refused(2, kTrigger, UINT32_MAX, 1));
  CHECK(refused(2, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_MASK, 0, 1));
  CHECK(interrupts.set(2, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, nullptr, nullptr) == EINVAL);
  CHECK(interrupts.set(2, 0, 0, 1, nullptr, nullptr) == EINVAL);
}

TEST_CASE("an access of another thread is answered by the thread that serves the desk") {
  Scripted script;
  const auto desk = std::make_shared<Desk>(script);
  const auto function = functionOf(desk);
  function->decodes = true;
  Answered bar(function, 0, Rules{}, Cost{}, {}, 1);
  std::atomic<bool> done{false};
  uint8_t loaded[8] = {};
  Status status = Status::busy;
  std::thread driver([&] {
    Failure failure;
    status = bar.load(0x28, loaded, 8, failure);
    done = true;
    desk->poke();
  });
  CHECK(desk->serveUntil([&] { return done.load(); }, std::chrono::steady_clock::now() + 10s));
  driver.join();
  CHECK(status == Status::ok);
  CHECK(loaded[0] == 0x28);
  CHECK(script.asked == 1);
}

TEST_CASE("on the answering thread itself an access is answered within the call, and a promise is refused") {
  Scripted script;
  const auto desk = std::make_shared<Desk>(script);
  const auto function = functionOf(desk);
  function->decodes = true;
  Answered bar(function, 0, Rules{}, Cost{}, {}, 1);
  uint8_t byte = 0;
  Failure failure;
  CHECK(bar.load(3, &byte, 1, failure) == Status::ok);
  CHECK(byte == 3);
  script.promises = true;
  CHECK(bar.load(3, &byte, 1, failure) == Status::deadlock);
  CHECK(script.woken == 0);
}

TEST_CASE("whoever waits is told when the answering thread ends, whether its access was served or not") {
  Scripted script;
  script.promises = true;
  const auto desk = std::make_shared<Desk>(script);
  const auto function = functionOf(desk);
  function->decodes = true;
  Answered bar(function, 0, Rules{}, Cost{}, {}, 1);
  std::atomic<int> told{0};
  constexpr int kDrivers = 4;
  std::vector<std::thread> drivers;
  drivers.reserve(kDrivers);
  for (int i = 0; i < kDrivers; i++) {
    drivers.emplace_back([&] {
      Failure failure;
      const uint8_t byte = 1;
      if (bar.store(8, &byte, 1, failure) == Status::regionLost) told++;
    });
  }
  while (script.woken == 0) std::this_thread::yield();
  desk->serve();
  script.kept = nullptr;  // the promises are dropped with the thread
  desk->end();
  for (std::thread& driver : drivers) driver.join();
  CHECK(told == 4);
  Failure failure;
  uint8_t byte = 0;
  CHECK(bar.load(8, &byte, 1, failure) == Status::regionLost);
}

TEST_CASE("memory of a BAR is accessed where it lies, without a question; memory decode off refuses everything") {
  Scripted script;
  const auto desk = std::make_shared<Desk>(script);
  const auto function = functionOf(desk, false);
  Answered bar(function, 0, Rules{}, Cost{}, {}, 1);
  const uint64_t value = 0x1122334455667788;
  uint64_t loaded = 0;
  Failure failure;
  const auto* source = reinterpret_cast<const uint8_t*>(&value);
  CHECK(bar.store(4096, source, 8, failure) == Status::deviceError);
  function->decodes = true;
  CHECK(bar.store(4096, source, 8, failure) == Status::ok);
  CHECK(bar.load(4096, reinterpret_cast<uint8_t*>(&loaded), 8, failure) == Status::ok);
  CHECK(loaded == value);
  CHECK(bar.storeBlock(8192 - 64, std::vector<uint8_t>(64, 5).data(), 64, failure) == Status::ok);
  CHECK(*function->memoryAt(0, 8191, 1) == 5);
  CHECK(bar.load(0, reinterpret_cast<uint8_t*>(&loaded), 8, failure) == Status::deviceError);
  CHECK(script.asked == 0);
}

TEST_CASE("JavaScript may run under an access that is not to memory in whole, on its own thread, and under no other") {
  struct Taking final : Engine {
    void attach(const std::shared_ptr<Function>&) override {}
    int32_t store(uint64_t, const uint8_t*, uint32_t, uint8_t&) override { return 0; }
  };
  Scripted script;
  const auto desk = std::make_shared<Desk>(script);
  const Answered bar(functionOf(desk), 0, Rules{}, Cost{}, {}, 1);
  for (const bool stores : {false, true}) {
    CHECK_FALSE(bar.mayRunScript(stores, 4096, 4096));
    CHECK(bar.mayRunScript(stores, 4088, 16));
    CHECK(bar.mayRunScript(stores, 0, 8));
  }
  std::thread([&] { CHECK_FALSE(bar.mayRunScript(true, 0, 8)); }).join();
  const Answered taken(functionOf(desk, true, std::make_shared<Taking>()), 0, Rules{}, Cost{}, {}, 1);
  CHECK_FALSE(taken.mayRunScript(true, 0, 8192));
  CHECK(taken.mayRunScript(false, 0, 8));
}

TEST_CASE("a function says of itself what VFIO asks, in two steps where it has areas") {
  Scripted script;
  const auto function = functionOf(std::make_shared<Desk>(script));
  uint8_t bytes[256] = {};
  CHECK(regionInfo(*function, 9, true, bytes, sizeof bytes) == -EINVAL);
  vfio_region_info info{};
  const int64_t whole = regionInfo(*function, 0, true, reinterpret_cast<uint8_t*>(&info), sizeof info);
  CHECK(whole == sizeof info + sizeof(vfio_region_info_cap_sparse_mmap) + sizeof(vfio_region_sparse_mmap_area));
  CHECK(info.cap_offset == 0);
  CHECK(regionInfo(*function, 0, true, bytes, sizeof bytes) == whole);
  memcpy(&info, bytes, sizeof info);
  CHECK(info.cap_offset == sizeof info);
  CHECK((info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0);
  CHECK(regionInfo(*function, 0, false, bytes, sizeof bytes) == sizeof info);
  vfio_irq_info irq{};
  CHECK(irqInfo(*function, 2, reinterpret_cast<uint8_t*>(&irq), sizeof irq) == sizeof irq);
  CHECK(irq.count == 4);
}
