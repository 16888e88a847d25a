// Messages of a hostile client, at random but shaped like real ones. ISMIO_FUZZ_MESSAGES says how many, ISMIO_FUZZ_SEED
// which; a failure names its seed.
#include <sys/eventfd.h>

#include <cstdlib>
#include <string>

#include "support/random.h"
#include "support/raw_client.h"

namespace ismio {
namespace {

using test::Body;
using test::bodyOf;
using test::RawClient;
using test::Served;
using vfio_user::Command;
using vfio_user::Header;

uint64_t setting(const char* name, uint64_t otherwise) {
  const char* given = getenv(name);
  return given == nullptr ? otherwise : strtoull(given, nullptr, 10);
}

class Hostile {
 public:
  Hostile(uint64_t seed, const Served& served) : random_(seed), served_(served) {
    memory_ = memfd_create("hostile", MFD_CLOEXEC);
    eventfd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    REQUIRE(memory_ >= 0);
    REQUIRE(eventfd_ >= 0);
    REQUIRE(ftruncate(memory_, 1 << 16) == 0);
  }
  ~Hostile() {
    close(memory_);
    close(eventfd_);
  }
  Hostile(const Hostile&) = delete;
  Hostile& operator=(const Hostile&) = delete;

  // Sends one message, and reads what has come.
  void step() {
    if (client_ == nullptr || random_.oneIn(500)) connect();
    Body body =
        payload(command_ = static_cast<Command>(random_.oneIn(20) ? random_.below(70000) : random_.between(0, 18)));
    if (random_.oneIn(10)) body.resize(random_.below(body.size() + 40));
    if (random_.oneIn(10)) spoil(body);
    Header header{static_cast<uint16_t>(random_.below(1 << 16)), command_,
                  static_cast<uint32_t>(sizeof(Header) + body.size()), flags(), random_.oneIn(20) ? word32() : 0};
    if (random_.oneIn(100)) header.size = word32();
    std::vector<int> descriptors;
    const bool usual = command_ == Command::dmaMap || command_ == Command::deviceSetIrqs;
    if (usual ? !random_.oneIn(3) : random_.oneIn(20)) {
      descriptors.assign(random_.oneIn(4) ? random_.between(1, 16) : 1, random_.oneIn(2) ? memory_ : eventfd_);
    }
    Body message = bodyOf(header, body);
    if (random_.oneIn(200)) message.resize(random_.below(message.size() + 1));
    client_->sendBytes(message, message.empty() ? std::vector<int>{} : descriptors);
    while (client_->receive(client_->reply, 0)) {}
  }

 private:
  // Mostly negotiated.
  void connect() {
    client_.reset();
    client_ = std::make_unique<RawClient>(served_, false);
    if (!random_.oneIn(20)) client_->call(Command::version, bodyOf(vfio_user::Version{0, 1}));
  }

  uint32_t flags() {
    if (random_.oneIn(20)) return word32();
    return (random_.oneIn(3) ? vfio_user::kNoReply : 0) | (random_.oneIn(10) ? vfio_user::kReply : 0);
  }
  // Numbers at which programs break.
  uint64_t word() {
    const uint64_t near = random_.below(5) - 2;
    switch (random_.below(6)) {
      case 0: return near;
      case 1: return (1ull << random_.below(64)) + near;
      case 2: return random_.below(0x5000);
      case 3: return random_.below(16) * 4096;
      case 4: return UINT64_MAX - random_.below(0x2000);
      default: return random_.below(64) * 8;
    }
  }
  uint32_t word32() { return static_cast<uint32_t>(word()); }

  vfio_user::RegionAccess access() {
    const auto count = static_cast<uint32_t>(random_.oneIn(10) ? word() : random_.below(200));
    return {random_.oneIn(10) ? word() : random_.below(test::kBarSize), static_cast<uint32_t>(random_.below(9)), count};
  }

  Body payload(Command command) {
    switch (command) {
      case Command::version: return bodyOf(vfio_user::Version{0, 1}, text());
      case Command::dmaMap:
        return bodyOf(uint32_t{32}, random_.oneIn(5) ? word32() : 3u, word() & ~0xfffull, word() & ~0xfffull,
                      random_.oneIn(4) ? word() : random_.between(1, 16) * 4096);
      case Command::dmaUnmap: return bodyOf(uint32_t{24}, random_.oneIn(5) ? word32() : 0u, word() & ~0xfffull, word());
      case Command::deviceGetInfo:
      case Command::deviceGetRegionIoFds:
      case Command::deviceGetIrqInfo: return bodyOf(size(16), word32(), word32() % 12, word32());
      case Command::deviceGetRegionInfo: return bodyOf(size(64), word32(), word32() % 12, word32(), word(), word());
      case Command::deviceSetIrqs: {
        const auto count = static_cast<uint32_t>(random_.oneIn(5) ? word() : random_.below(4));
        const bool bools = random_.oneIn(3);
        return bodyOf(size(20),
                      random_.oneIn(3) ? word32()
                      : bools          ? 0x22u
                                       : 0x24u,
                      word32() % 7, word32() % 40, count, bools ? random_.bytes(count % 64) : Body{});
      }
      case Command::regionRead: return bodyOf(access());
      case Command::regionWrite: {
        const vfio_user::RegionAccess to = access();
        return keepsDecoding(bodyOf(to, random_.bytes(to.count % 5000)), to);
      }
      case Command::regionWriteMulti: {
        const uint64_t count = random_.below(5);
        Body body = bodyOf(random_.oneIn(10) ? word() : count);
        for (uint64_t i = 0; i < count; i++) {
          vfio_user::RegionAccess to = access();
          to.count %= random_.oneIn(10) ? 20 : 9;
          test::append(body, to, word());
        }
        return body;
      }
      case Command::deviceReset: return random_.oneIn(3) ? random_.bytes(random_.below(20)) : Body{};
      case Command::deviceFeature: return bodyOf(size(16), word32(), word());
      default: return random_.bytes(random_.below(100));
    }
  }
  // Half of the writes that would switch memory off become others: most accesses are to reach something.
  Body keepsDecoding(Body body, const vfio_user::RegionAccess& to) {
    if (to.region == device::kConfigRegion && random_.oneIn(2)) body[8] = 0;
    return body;
  }
  uint32_t size(uint32_t usual) { return random_.oneIn(5) ? word32() : usual; }
  Body text() {
    std::string made = R"({"capabilities":{"max_msg_fds":16,"max_data_xfer_size":4096,"x":[1,{"y":null}]}})";
    if (random_.oneIn(2)) made.resize(random_.below(made.size()));
    if (random_.oneIn(2) && !made.empty()) made[random_.below(made.size())] = static_cast<char>(random_.below(256));
    made.push_back('\0');
    return {made.begin(), made.end()};
  }
  void spoil(Body& body) {
    if (!body.empty()) body[random_.below(body.size())] = static_cast<uint8_t>(random_.below(256));
  }

  test::Random random_;
  const Served& served_;
  Command command_ = Command::version;
  int memory_ = -1;
  int eventfd_ = -1;
  std::unique_ptr<RawClient> client_;
};

TEST_CASE("whatever a client sends, the server serves the next, and keeps nothing of it") {
  const uint64_t messages = setting("ISMIO_FUZZ_MESSAGES", 20'000);
  const uint64_t seed = setting("ISMIO_FUZZ_SEED", 1);
  CAPTURE(seed);
  Served served;
  served.script.promises(false);
  const size_t before = test::openDescriptors();
  {
    Hostile hostile(seed, served);
    for (uint64_t i = 0; i < messages; i++) hostile.step();
  }
  served.until(vfio_user::Happening::gone, served.server->counts().clients);
  served.script.run([] {});
  CHECK(served.function->dma.mappings() == 0);
  CHECK(test::openDescriptors() == before);
  RawClient client(served);
  CHECK(client.write(7, 4, {2, 0}) == 0);
  CHECK(client.write(0, test::kMemoryFrom, {1, 2, 3, 4}) == 0);
  CHECK(client.read(0, test::kMemoryFrom, 4) == 0);
  CHECK(client.data() == Body{1, 2, 3, 4});
}

}  // namespace
}  // namespace ismio
