// A fabric: moves into memory of a peer, what is refused, and a buffer that is taken back while others move into it.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <doctest.h>
#include <endian.h>
#include <initializer_list>
#include <span>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "ism/doorbell.h"
#include "ism/fabric.h"
#include "ism/port.h"

namespace {

using namespace ismio;
using ism::Fabric;
using ism::Port;
using ism::Refusal;

class Silent final : public device::Answerer {
 public:
  bool answer(const std::shared_ptr<device::Request>&, int32_t& error, Later) override {
    error = EIO;
    return true;
  }
  void wake() override {}
  void wakeLater() override {}
};

constexpr uint64_t kSba = 0x10000;
constexpr uint64_t kQueue = 0x11000;
constexpr uint64_t kBuffer = 0x100000;
constexpr uint32_t kBufferLength = 0x4000;

// A function with 16 pages of its driver's memory, of which one is the SBA, one the event queue, and four a buffer.
struct Member {
  Member(const std::shared_ptr<Fabric>& fabric, uint64_t gid) : port(std::make_shared<Port>(fabric, gid, false)) {
    REQUIRE(port->join());
    std::array<device::Bar, device::kBars> bars;
    bars[0].size = uint64_t{1} << 48;
    bars[0].engine = port;
    function = std::make_shared<device::Function>(1, std::make_shared<device::Desk>(answerer), std::move(bars), 256,
                                                  std::array<uint32_t, device::kIrqs>{0, 1, 1, 1, 1}, 100);
    port->attach(function);
    function->masters = true;
    map(kSba, pages.data(), 0x2000);
    map(kBuffer, pages.data() + 0x2000, kBufferLength);
    const int given[] = {dup(eventfd)};
    REQUIRE(function->interrupts.set(2, 0x24, 0, 1, given, nullptr) == 0);
    REQUIRE(port->registerSba(kSba) == 0);
    REQUIRE(port->registerQueue(kQueue, ism::kQueueBytes) == 0);
  }
  ~Member() { close(eventfd); }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void map(uint64_t iova, uint8_t* base, uint64_t length) const {
    REQUIRE(function->dma.map(iova, {length, true, true, base, nullptr, nullptr}) == 0);
  }
  uint64_t offer(uint64_t sender, uint32_t index = 32, uint32_t length = kBufferLength) const {
    uint64_t token = 0;
    REQUIRE(port->registerDmb({kBuffer, length, index, sender}, token) == 0);
    return token;
  }
  int32_t store(uint64_t place, const std::vector<uint8_t>& bytes) {
    return port->store(place, bytes.data(), static_cast<uint32_t>(bytes.size()), status);
  }
  bool tell(const ism::Event& event, bool interrupt) const {
    std::shared_ptr<device::Function> held;
    return port->tell(event, interrupt, held);
  }
  uint64_t interrupts() const {
    uint64_t count = 0;
    eventfd_t value = 0;
    if (eventfd_read(eventfd, &value) == 0) count = value;
    return count;
  }
  const uint8_t* sba() const { return pages.data(); }
  const uint8_t* queue() const { return pages.data() + 0x1000; }
  const uint8_t* buffer() const { return pages.data() + 0x2000; }

  Silent answerer;
  const int eventfd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::vector<uint64_t> words = std::vector<uint64_t>(0x6000 / 8);
  std::span<uint8_t> pages{reinterpret_cast<uint8_t*>(words.data()), 0x6000};
  std::shared_ptr<Port> port;
  std::shared_ptr<device::Function> function;
  uint8_t status = 0;
};

struct Two {
  Two() = default;
  explicit Two(const ism::Adversary::Plan& plan) : fabric(std::make_shared<Fabric>(plan)) {}
  // As its owner does: the adversary's thread ends before the functions it may hold.
  ~Two() { fabric->end(); }
  Two(const Two&) = delete;
  Two& operator=(const Two&) = delete;

  const std::shared_ptr<Fabric> fabric = std::make_shared<Fabric>();
  Member a{fabric, 1};
  Member b{fabric, 2};
};

// So often of a thousand moves, and the others never.
ism::Adversary::Plan plan(std::initializer_list<std::pair<ism::Mischief, uint32_t>> rates,
                          std::chrono::milliseconds latest) {
  ism::Adversary::Plan made;
  made.seed = 1;
  made.latest = latest;
  for (const auto& [mischief, rate] : rates) made.rates[static_cast<size_t>(mischief)] = rate;
  return made;
}

uint8_t status(Refusal refusal) { return static_cast<uint8_t>(refusal); }

}  // namespace

TEST_CASE("a move lies in the peer's buffer; the signal sets mask, bit and summary, and interrupts") {
  Two two;
  const uint64_t token = two.b.offer(1, 45);
  CHECK(token % (uint64_t{1} << 32) == 0);
  CHECK(two.a.store(token + 3, {7, 8, 9}) == 0);
  CHECK(two.b.buffer()[3] == 7);
  CHECK(two.b.interrupts() == 0);
  CHECK(two.a.store(token | 5u << 24 | 1u << 23 | 100, {1}) == 0);
  CHECK(two.b.buffer()[100] == 1);
  CHECK(two.b.sba()[0] == 0x80);
  CHECK(two.b.sba()[4 + 45 / 8] == 0x80 >> 45 % 8);
  uint16_t mask = 0;
  memcpy(&mask, two.b.sba() + 256 + size_t{2} * 45, sizeof mask);
  CHECK(be16toh(mask) == 1u << 5);
  CHECK(two.b.interrupts() == 1);
}

TEST_CASE("a driver of this process is interrupted once for what it has not taken; one elsewhere for each signal") {
  for (const bool near : {true, false}) {
    Two two;
    two.b.function->near = near;
    const uint64_t token = two.b.offer(1);
    const auto signal = [&](uint32_t colour) { CHECK(two.a.store(token | colour << 24 | 1u << 23, {1}) == 0); };
    for (int i = 0; i < 3; i++) signal(7);
    signal(8);
    CHECK(two.b.interrupts() == (near ? 1 : 4));
    two.b.pages[0] = 0;  // s is cleared, and the rest not looked at yet: what is new is told again
    signal(7);
    signal(9);
    CHECK(two.b.interrupts() == (near ? 1 : 2));
    CHECK(two.b.pages[0] == 0x80);
  }
}

TEST_CASE("moves that are refused touch nothing, and say why") {
  Two two;
  const uint64_t token = two.b.offer(1, 32, 5000);
  const auto refused = [&](Member& who, uint64_t place, uint32_t length, Refusal why) {
    CHECK(who.store(place, std::vector<uint8_t>(length, 1)) == EIO);
    CHECK(who.status == status(why));
  };
  refused(two.a, token | 1u << 28, 1, Refusal::address);
  refused(two.a, 0, 1, Refusal::address);
  refused(two.a, token + (uint64_t{1} << 32), 1, Refusal::unknown);
  refused(two.b, token, 1, Refusal::sender);
  refused(two.a, token + 4999, 2, Refusal::bounds);
  refused(two.a, token + 0x7fffff, 1, Refusal::bounds);
  refused(two.a, token + 4095, 2, Refusal::page);
  refused(two.a, token, 0, Refusal::address);
  two.b.function->masters = false;
  refused(two.a, token, 1, Refusal::memory);
  two.b.function->masters = true;
  two.b.function->dma.clear();
  refused(two.a, token, 1, Refusal::memory);
  CHECK(std::ranges::all_of(two.b.words,
                            [](uint64_t word) { return word == 0 || word == htobe64(512) || word == htobe64(32); }));
}

TEST_CASE("nothing is written where the driver has unmapped it, nor asked of its owner where it is far") {
  class Asked final : public device::Far {
   public:
    int32_t read(uint64_t, uint8_t*, uint64_t) override { return 0; }
    int32_t write(uint64_t, const uint8_t*, uint64_t) override {
      asked++;
      return 0;
    }
    int asked = 0;
  };
  Two two;
  const uint64_t token = two.b.offer(1);
  uint64_t unmapped = 0;
  REQUIRE(two.b.function->dma.unmap(kSba, 0x2000, unmapped) == 0);
  std::ranges::fill(two.b.words, 0);
  CHECK(two.a.store(token | 1u << 23, {5}) == 0);
  CHECK_FALSE(two.b.tell({2, 1, 1, 1}, true));
  CHECK(std::ranges::all_of(two.b.pages.first(0x2000), [](uint8_t byte) { return byte == 0; }));
  CHECK(two.b.interrupts() == 0);
  CHECK(two.b.buffer()[0] == 5);
  const auto far = std::make_shared<Asked>();
  REQUIRE(two.b.function->dma.unmap(kBuffer, kBufferLength, unmapped) == 0);
  REQUIRE(two.b.function->dma.map(kBuffer, {kBufferLength, true, true, nullptr, nullptr, far}) == 0);
  CHECK(two.a.store(token, {6}) == EIO);
  CHECK(two.a.status == status(Refusal::memory));
  CHECK(two.a.function->refused);
  CHECK(far->asked == 0);
}

TEST_CASE("a function that left the fabric has given back its GID and its DMBs, whoever still holds it") {
  Two two;
  const uint64_t token = two.b.offer(1);
  two.b.port->leave();
  CHECK(two.a.store(token, {1}) == EIO);
  const Member again(two.fabric, 2);
}

TEST_CASE("an interrupt that comes before the driver has enabled one is signalled by the kind that it enables") {
  for (const uint32_t index : {1u, 2u}) {
    Two two;
    const uint64_t token = two.b.offer(1);
    two.b.function->interrupts.clear();
    CHECK(two.a.store(token | 1u << 23, {1}) == 0);
    const int given[] = {dup(two.b.eventfd)};
    REQUIRE(two.b.function->interrupts.set(index, 0x24, 0, 1, given, nullptr) == 0);
    CHECK(two.b.interrupts() == 1);
  }
}

TEST_CASE("a DMB has a place and an index of its own; what it had is free when it was taken back") {
  Two two;
  uint64_t token = 0;
  const uint64_t first = two.b.offer(1, 32);
  CHECK(two.b.port->registerDmb({kBuffer, 100, 32, 1}, token) == EEXIST);
  CHECK(two.b.port->registerDmb({kBuffer, 100, 31, 1}, token) == EINVAL);
  CHECK(two.b.port->registerDmb({kBuffer, 100, 1920, 1}, token) == EINVAL);
  CHECK(two.b.port->registerDmb({kBuffer + 8, 100, 33, 1}, token) == EINVAL);
  CHECK(two.b.port->registerDmb({kBuffer, 0, 33, 1}, token) == EINVAL);
  CHECK(two.b.port->registerDmb({0xff000, 0x2000, 33, 1}, token) == EINVAL);
  CHECK(two.b.port->registerDmb({0x900000, 100, 33, 1}, token) == EFAULT);
  CHECK_FALSE(two.a.port->unregisterDmb(first));
  CHECK(two.b.port->unregisterDmb(first));
  CHECK_FALSE(two.b.port->unregisterDmb(first));
  CHECK(two.b.offer(1, 32) != first);
  CHECK(two.b.port->dmbs() == 1);
}

TEST_CASE("events go round the queue, with the index of the last one") {
  Two two;
  for (uint32_t i = 1; i <= 40; i++) {
    CHECK(two.b.tell({2, i, 1, i}, true));
    uint64_t index = 0;
    memcpy(&index, two.b.queue(), sizeof index);
    CHECK(be64toh(index) == (i - 1) % 15 + 1);
    uint32_t code = 0;
    memcpy(&code, two.b.queue() + 32 + size_t{(i - 1) % 15} * 32 + 4, sizeof code);
    CHECK(be32toh(code) == i);
  }
  CHECK(two.b.sba()[0] == 0x40);
  CHECK(two.b.port->unregisterQueue());
  CHECK_FALSE(two.b.tell({2, 1, 1, 1}, true));
}

TEST_CASE("no move reaches a buffer that was taken back, whoever moves meanwhile") {
  Two two;
  std::atomic<uint64_t> token{0};
  std::atomic<bool> over{false};
  std::atomic<uint64_t> made{0};
  std::vector<std::thread> movers;
  movers.reserve(2);
  for (int i = 0; i < 2; i++) {
    movers.emplace_back([&] {
      uint8_t why = 0;
      std::vector<uint8_t> bytes(64, 0xff);
      while (!over) {
        const uint64_t to = token;
        if (to != 0 && two.a.port->store(to | 1u << 23, bytes.data(), 64, why) == 0) made++;
      }
    });
  }
  for (int life = 0; life < 300; life++) {
    token = two.b.offer(1, 32 + life % 8);
    const uint64_t before = made;
    while (made < before + 2) std::this_thread::yield();
    CHECK(two.b.port->unregisterDmb(token));
    memset(two.b.pages.data() + 0x2000, 0, 64);
    std::this_thread::yield();
    CHECK(std::ranges::all_of(std::span(two.b.buffer(), 64), [](uint8_t byte) { return byte == 0; }));
  }
  over = true;
  for (std::thread& mover : movers) mover.join();
}

TEST_CASE("a function that is let go of while a peer moves into it ends without waiting for itself") {
  const auto fabric = std::make_shared<Fabric>();
  Member a(fabric, 1);
  for (int life = 0; life < 100; life++) {
    auto b = std::make_unique<Member>(fabric, 2);
    const uint64_t token = b->offer(1);
    std::atomic<bool> begun{false};
    std::thread mover([&] {
      uint8_t why = 0;
      const uint8_t byte = 1;
      while (a.port->store(token, &byte, 1, why) == 0) begun = true;
    });
    while (!begun) std::this_thread::yield();
    b->port.reset();
    b->function.reset();
    mover.join();
  }
}

namespace {

// Memory that is a file of its own, as `allocBuffer(.., { shared: true })` makes it.
struct Shared {
  explicit Shared(size_t bytes) : length(bytes), descriptor(memfd_create("test", MFD_CLOEXEC)) {
    REQUIRE(ftruncate(descriptor, static_cast<off_t>(length)) == 0);
    base = static_cast<uint8_t*>(mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0));
    REQUIRE(base != MAP_FAILED);
  }
  ~Shared() {
    munmap(base, length);
    close(descriptor);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  device::DmaMap::Mapping mapping() const { return {length, true, true, base, nullptr, nullptr, nullptr, descriptor}; }

  const size_t length;
  const int descriptor;
  uint8_t* base = nullptr;
};

// Two functions of a direct fabric, of which b has its signals and a buffer in files.
struct Direct {
  Direct() {
    uint64_t unmapped = 0;
    REQUIRE(b.port->unregisterSba());
    REQUIRE(b.function->dma.unmap(kSba, 0x2000, unmapped) == 0);
    REQUIRE(b.function->dma.unmap(kBuffer, kBufferLength, unmapped) == 0);
    REQUIRE(b.function->dma.map(kSba, signals.mapping()) == 0);
    REQUIRE(b.function->dma.map(kBuffer, buffer.mapping()) == 0);
    REQUIRE(b.port->registerSba(kSba) == 0);
  }
  int32_t lane(Member& sender, uint64_t token, device::Lane& made) const { return sender.port->lane(token, made); }

  const std::shared_ptr<Fabric> fabric = std::make_shared<Fabric>(true);
  Shared signals{0x1000};
  Shared buffer{kBufferLength};
  Member a{fabric, 1};
  Member b{fabric, 2};
};

}  // namespace

TEST_CASE("a lane has the buffer, the signals and the interrupt of its owner, and a bell that sets what a move sets") {
  Direct two;
  const uint64_t token = two.b.offer(1, 45, kBufferLength - 100);
  device::Lane lane;
  REQUIRE(two.lane(two.a, token, lane) == 0);
  CHECK(lane.length == kBufferLength - 100);
  CHECK(lane.index == 45);
  CHECK(pwrite(lane.descriptors[device::Lane::memory], "word", 4, 8) == 4);
  CHECK(memcmp(two.buffer.base + 8, "word", 4) == 0);
  File::Problem problem;
  const auto bell = ism::Doorbell::of(lane, problem);
  REQUIRE(bell != nullptr);
  CHECK(bell->ring(5) == 0);
  std::vector<uint8_t> rung(two.signals.base, two.signals.base + 0x1000);
  CHECK(two.b.interrupts() > 0);  // user-mode emulation turns the count of a duplicate round
  memset(two.signals.base, 0, 0x1000);
  CHECK(two.a.store(token | 5u << 24 | 1u << 23, {1}) == 0);
  CHECK(rung == std::vector<uint8_t>(two.signals.base, two.signals.base + 0x1000));
  CHECK(two.a.port->counts.lanes == 1);
}

TEST_CASE(
    "a lane is lent of a DMB that is there, to its sender, where memory and signals are files with nothing else") {
  Direct two;
  const uint64_t token = two.b.offer(1);
  const auto refused = [&](Member& sender, uint64_t asked) {
    device::Lane lane;
    const int32_t why = two.lane(sender, asked, lane);
    if (why == 0) CHECK(lane.descriptors[device::Lane::memory] >= 0);
    return why;
  };
  CHECK(refused(two.a, token) == 0);
  CHECK(refused(two.b, token) == EACCES);
  CHECK(refused(two.a, token + 1) == ENOENT);
  CHECK(refused(two.a, token + (uint64_t{5} << 32)) == ENOENT);
  CHECK(refused(two.a, UINT64_MAX) == ENOENT);
  two.b.function->masters = false;
  CHECK(refused(two.a, token) == ENXIO);
  two.b.function->masters = true;
  REQUIRE(ftruncate(two.buffer.descriptor, kBufferLength + 0x1000) == 0);
  CHECK(refused(two.a, token) == ENXIO);  // there is something behind it
  REQUIRE(ftruncate(two.buffer.descriptor, kBufferLength) == 0);
  CHECK(refused(two.a, token) == 0);
  REQUIRE(two.b.port->unregisterSba());
  CHECK(refused(two.a, token) == ENXIO);
  REQUIRE(two.b.port->registerSba(kSba) == 0);
  two.b.function->interrupts.clear();
  CHECK(refused(two.a, token) == EAGAIN);
  CHECK(two.b.port->unregisterDmb(token));
  CHECK(refused(two.a, token) == ENOENT);
  Two indirect;
  device::Lane lane;
  CHECK(indirect.a.port->lane(indirect.b.offer(1), lane) == ENOTTY);
}

TEST_CASE("an owner that cuts its signals off has its peer's bell lost, and the process lives") {
  Direct two;
  device::Lane lane;
  REQUIRE(two.lane(two.a, two.b.offer(1), lane) == 0);
  File::Problem problem;
  const auto bell = ism::Doorbell::of(lane, problem);
  REQUIRE(bell != nullptr);
  REQUIRE(ftruncate(two.signals.descriptor, 0) == 0);
  CHECK(bell->ring(0) == ENODEV);
  CHECK(bell->ring(0) == ENODEV);
  CHECK(two.b.interrupts() == 0);
}

TEST_CASE("an adversary that holds a signal raises it when it ends, and holds none behind that") {
  Two two(plan({{ism::Mischief::coalesce, 1000}}, std::chrono::minutes(1)));
  const uint64_t token = two.b.offer(1);
  for (const uint32_t colour : {3u, 4u}) CHECK(two.a.store(token | colour << 24 | 1u << 23, {7}) == 0);
  CHECK(two.b.buffer()[0] == 7);
  CHECK(two.b.interrupts() == 0);
  two.fabric->end();
  CHECK(two.b.interrupts() == 1);
  CHECK(two.a.store(token | 1u << 23, {8}) == 0);
  CHECK(two.b.interrupts() == 1);
}

TEST_CASE("a signal that is held for a DMB that was taken back is told to nobody, nor to the next one of its index") {
  Two two(plan({{ism::Mischief::coalesce, 1000}}, std::chrono::minutes(1)));
  const uint64_t token = two.b.offer(1);
  CHECK(two.a.store(token | 1u << 23, {7}) == 0);
  CHECK(two.b.port->unregisterDmb(token));
  two.b.offer(1);
  two.fabric->end();
  CHECK(two.b.interrupts() == 0);
}

TEST_CASE("functions, DMBs and the fabric come and go while others move under an adversary") {
  for (int life = 0; life < 20; life++) {
    const auto fabric = std::make_shared<Fabric>(plan({{ism::Mischief::delay, 300},
                                                       {ism::Mischief::coalesce, 200},
                                                       {ism::Mischief::reorder, 200},
                                                       {ism::Mischief::busy, 100},
                                                       {ism::Mischief::fail, 100},
                                                       {ism::Mischief::kill, life % 2 == 0 ? 2u : 0u}},
                                                      std::chrono::milliseconds(1)));
    Member a(fabric, 1);
    auto b = std::make_unique<Member>(fabric, 2);
    const uint64_t token = b->offer(1);
    std::atomic<uint64_t> tries{0};
    std::atomic<bool> over{false};
    std::vector<std::thread> movers;
    movers.reserve(2);
    for (uint32_t colour = 0; colour < 2; colour++) {
      movers.emplace_back([&, colour] {
        uint8_t why = 0;
        const uint8_t byte = 1;
        while (!over) {
          a.port->store(token | colour << 24 | 1u << 23, &byte, 1, why);
          tries++;
        }
      });
    }
    while (tries < 500) std::this_thread::yield();
    CHECK(b->port->unregisterDmb(token));
    b->port.reset();
    b->function.reset();
    if (life % 3 == 0) fabric->end();
    over = true;
    for (std::thread& mover : movers) mover.join();
    fabric->end();
  }
}
