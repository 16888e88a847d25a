// A region by messages: what each access becomes, how many go out together, what an error means.
#include <cstring>
#include <doctest.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "support/random.h"
#include "support/raw_server.h"
#include "vfio-user/remote.h"

namespace ismio::test {

using vfio_user::Command;
using vfio_user::Connection;
using vfio_user::Header;
using vfio_user::Message;
using vfio_user::RegionAccess;
using vfio_user::Remote;

namespace {

constexpr uint32_t kRegion = 2;
constexpr uint64_t kSize = 1 << 16;

// A region over a scripted server.
class Device {
 public:
  using Script = std::function<void(RawServer&, RawMemory&, Message&)>;

  // `script` answers each message; by default as memory does.
  explicit Device(const Rules& rules = {}, bool posted = false, Script script = nullptr,
                  std::chrono::milliseconds within = std::chrono::seconds(5))
      : server([this, script = std::move(script)](RawServer& self) {
          Message message;
          while (self.next(message)) {
            // The client's answer to what looked like a question.
            if ((message.header.flags & vfio_user::kTypeMask) == vfio_user::kReply) continue;
            note(message);
            if (script == nullptr) {
              memory.serve(self, message);
            } else {
              script(self, memory, message);
            }
          }
        }) {
    Connection::Problem problem;
    connection = Connection::open(server.path(), {within, nullptr}, problem);
    REQUIRE(connection != nullptr);
    region = std::make_unique<Remote>(connection, kRegion, rules, posted);
  }
  ~Device() { connection->close(); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // The messages that came, as "R0+8 W16+4".
  std::string told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }

  RawMemory memory{kSize};

 private:
  void note(const Message& message) {
    const auto access = valueIn<RegionAccess>(message.payload);
    CHECK(access.region == kRegion);
    const std::lock_guard lock(mutex_);
    told_ += told_.empty() ? "" : " ";
    told_ += message.header.command == Command::regionRead ? "R" : "W";
    told_ += std::to_string(access.offset) + "+" + std::to_string(access.count);
  }

  std::mutex mutex_;
  std::string told_;

 public:
  // Its thread uses all of the above, and is joined before they go.
  RawServer server;
  std::shared_ptr<Connection> connection;
  std::unique_ptr<Remote> region;
};

std::vector<Word> words(uint64_t count) {
  std::vector<Word> made(count);
  for (uint64_t i = 0; i < count; i++) made[i] = {i * 8, i + 1};
  return made;
}

}  // namespace

TEST_CASE("each access is a message of its width") {
  Device device;
  Failure failure;
  const std::vector<uint8_t> source = Random(1).bytes(512);
  for (const uint32_t width : {1u, 2u, 4u, 8u}) {
    const uint64_t offset = uint64_t{width} * 8;
    std::vector<uint8_t> loaded(width);
    CHECK(device.region->store(offset, source.data(), width, failure) == Status::ok);
    CHECK(device.region->load(offset, loaded.data(), width, failure) == Status::ok);
    CHECK(memcmp(loaded.data(), source.data(), width) == 0);
  }
  CHECK(device.region->storeBlock(1000, source.data(), 512, failure) == Status::ok);
  CHECK(device.told() == "W8+1 R8+1 W16+2 R16+2 W32+4 R32+4 W64+8 R64+8 W1000+512");
  CHECK(device.memory.at(1000, 512) == source);
}

TEST_CASE("a run of loads is one message") {
  Device device;
  Failure failure;
  device.memory.put(64, Random(2).bytes(4096));
  std::vector<uint8_t> loaded(4096);
  uint64_t done = 0;
  CHECK(device.region->loadsTogether == 512);
  CHECK(device.region->loadWords(64, loaded.data(), 512, done, failure) == Status::ok);
  CHECK(done == 512);
  CHECK(loaded == device.memory.at(64, 4096));
  CHECK(device.told() == "R64+4096");
}

TEST_CASE("registers are loaded by a message each") {
  Rules rules;
  rules.mergeable = false;
  Device device(rules);
  CHECK(device.region->loadsTogether == 1);
}

TEST_CASE("runs of stores keep their order, posted or not") {
  for (const bool posted : {false, true}) {
    Device device({}, posted);
    Failure failure;
    uint64_t done = 0;
    const std::vector<Word> all = words(200);
    CHECK(device.region->storeWords(all.data(), all.size(), done, failure) == Status::ok);
    CHECK(done == 200);
    const std::vector<uint8_t> source = Random(3).bytes(6400);
    CHECK(device.region->storeSpan({4096, source.data(), 64}, 100, done, failure) == Status::ok);
    CHECK(done == 100);
    uint64_t last = 0;
    CHECK(device.region->load(1592, reinterpret_cast<uint8_t*>(&last), 8, failure) == Status::ok);
    CHECK(last == 200);
    CHECK(device.memory.at(4096, source.size()) == source);
    std::string expected;
    for (int i = 0; i < 200; i++) expected += "W" + std::to_string(i * 8) + "+8 ";
    for (int i = 0; i < 100; i++) expected += "W" + std::to_string(4096 + i * 64) + "+64 ";
    CHECK(device.told() == expected + "R1592+8");
  }
}

TEST_CASE("a run is on its way as a whole before the first reply is waited for") {
  std::vector<Message> held;
  Device device({}, false, [&](RawServer& self, RawMemory& memory, Message& message) {
    held.push_back(std::move(message));
    if (held.size() < 64) return;
    for (auto one = held.rbegin(); one != held.rend(); ++one) memory.serve(self, *one);
    held.clear();
  });
  Failure failure;
  uint64_t done = 0;
  const std::vector<Word> all = words(64);
  CHECK(device.region->storeWords(all.data(), all.size(), done, failure) == Status::ok);
  CHECK(done == 64);
}

TEST_CASE("the first store of a run that failed is told, with what went through before it") {
  Device device({}, false, [](RawServer& self, RawMemory& memory, const Message& message) {
    const uint64_t offset = valueIn<RegionAccess>(message.payload).offset;
    if (offset == 24 || offset == 40) {
      self.refuse(message, offset == 24 ? EIO : EPERM);
    } else {
      memory.serve(self, message);
    }
  });
  Failure failure;
  uint64_t done = 0;
  const std::vector<Word> all = words(10);
  CHECK(device.region->storeWords(all.data(), all.size(), done, failure) == Status::deviceError);
  CHECK(done == 3);
  CHECK(failure.errorNumber == EIO);
  uint64_t last = 0;
  memcpy(&last, device.memory.at(72, 8).data(), sizeof last);
  CHECK(last == 10);
}

TEST_CASE("what the server's errors mean") {
  const std::pair<uint32_t, Status> meanings[] = {{EIO, Status::deviceError},
                                                  {ENODEV, Status::regionLost},
                                                  {EINVAL, Status::systemError},
                                                  {0, Status::deviceError}};
  for (const auto& [error, status] : meanings) {
    Device device({}, false, [error = error](RawServer& self, RawMemory&, const Message& message) {
      self.refuse(message, error);
    });
    uint64_t word = 0;
    auto* bytes = reinterpret_cast<uint8_t*>(&word);
    Failure failure;
    CHECK(device.region->load(0, bytes, 8, failure) == status);
    CHECK(device.region->store(0, bytes, 8, failure) == status);
    CHECK(device.region->storeBlock(0, bytes, 8, failure) == status);
    CHECK(failure.errorNumber == (error == 0 ? EIO : static_cast<int32_t>(error)));
  }
}

TEST_CASE("a reply that says other than what was asked is EPROTO; one with less is EIO") {
  using Change = void (*)(RegionAccess&, std::vector<uint8_t>&);
  struct Case {
    Change change;
    int32_t read;
    int32_t write;
  };
  const Case cases[] = {
      {[](RegionAccess& access, std::vector<uint8_t>&) { access.offset++; }, EPROTO, EPROTO},
      {[](RegionAccess& access, std::vector<uint8_t>&) { access.region++; }, EPROTO, EPROTO},
      {[](RegionAccess& access, std::vector<uint8_t>&) { access.count++; }, EPROTO, EPROTO},
      {[](RegionAccess& access, std::vector<uint8_t>&) { access.count = UINT32_MAX; }, EPROTO, EPROTO},
      {[](RegionAccess& access, std::vector<uint8_t>& rest) {
         access.count = 4;
         if (!rest.empty()) rest.resize(4);
       },
       EIO, EIO},
      {[](RegionAccess&, std::vector<uint8_t>& rest) { rest.push_back(0); }, EPROTO, EPROTO},
  };
  for (const Case& one : cases) {
    Device device({}, false, [&](RawServer& self, RawMemory&, const Message& message) {
      auto access = valueIn<RegionAccess>(message.payload);
      std::vector<uint8_t> rest(message.header.command == Command::regionRead ? access.count : 0);
      one.change(access, rest);
      std::vector<uint8_t> payload = bytesOf(access);
      payload.insert(payload.end(), rest.begin(), rest.end());
      self.reply(message, payload);
    });
    uint64_t word = 0;
    auto* bytes = reinterpret_cast<uint8_t*>(&word);
    Failure failure;
    device.region->load(0, bytes, 8, failure);
    CHECK(failure.errorNumber == one.read);
    device.region->store(0, bytes, 8, failure);
    CHECK(failure.errorNumber == one.write);
    CHECK(device.connection->lost() == Connection::Lost::no);
  }
}

TEST_CASE("blocks before the first that breaks a rule are stored, and it is refused here") {
  Rules rules;
  rules.maxStoreBlock = 16;
  Device device(rules);
  const std::vector<uint8_t> source(64, 5);
  const Block blocks[] = {{0, source.data(), 16}, {16, source.data(), 17}, {64, source.data(), 8}};
  Failure failure;
  uint64_t done = 0;
  CHECK(device.region->storeBlocks(blocks, 3, done, failure) == Status::ruleBroken);
  CHECK(done == 1);
  CHECK(failure.rule == Rule::maxStoreBlock);
  CHECK(device.told() == "W0+16");
}

TEST_CASE("numbers of messages come round without a mistake") {
  Device device;
  Failure failure;
  uint64_t done = 0;
  const std::vector<Word> all = words(63);
  for (int i = 0; i < 1100; i++) {
    REQUIRE(device.region->storeWords(all.data(), all.size(), done, failure) == Status::ok);
  }
}

TEST_CASE("a lost server loses the region") {
  Device device({}, false, [](RawServer& self, RawMemory&, const Message&) { self.hangUp(); });
  uint64_t word = 0;
  Failure failure;
  CHECK(device.region->load(0, reinterpret_cast<uint8_t*>(&word), 8, failure) == Status::regionLost);
  CHECK(failure.loss == Loss::device);
  uint64_t done = 0;
  const std::vector<Word> all = words(2);
  CHECK(device.region->storeWords(all.data(), all.size(), done, failure) == Status::regionLost);
  CHECK(done == 0);
}

// Nothing that a server says makes the client write where it should not, wait for ever, or keep a descriptor.
TEST_CASE("whatever a server answers, each call ends, within its own memory") {
  const char* wanted = getenv("ISMIO_FUZZ_SERVERS");
  const uint64_t servers = wanted == nullptr ? 300 : strtoull(wanted, nullptr, 10);
  for (uint64_t seed = 1; seed <= servers; seed++) {
    CAPTURE(seed);
    Random random(seed);
    Random callers(~seed);
    Device device(
        {}, false,
        [&](RawServer& self, RawMemory& memory, const Message& message) {
          for (uint64_t more = random.below(3); more > 0; more--) {
            Header header{message.header.id, message.header.command, sizeof(Header), vfio_user::kReply, 0};
            std::vector<uint8_t> payload = message.payload;
            if (random.oneIn(4)) header.id = static_cast<uint16_t>(header.id + random.below(5) - 2);
            if (random.oneIn(8)) header.command = static_cast<Command>(random.below(20));
            if (random.oneIn(6)) header.flags = static_cast<uint32_t>(random.below(64));
            if (random.oneIn(4)) header.error = static_cast<uint32_t>(random.below(1 << 13));
            if (random.oneIn(3)) payload = random.bytes(random.below(8192));
            if (random.oneIn(3)) payload.resize(sizeof(RegionAccess) + random.below(40));
            for (uint64_t flips = random.below(3); flips > 0 && !payload.empty(); flips--) {
              payload[random.below(payload.size())] ^= static_cast<uint8_t>(1u << random.below(8));
            }
            header.size += static_cast<uint32_t>(payload.size());
            if (random.oneIn(16)) header.size = static_cast<uint32_t>(random.below(1 << 21));
            self.send(header, payload, std::vector<int>(random.below(4), self.client()));
          }
          if (random.oneIn(2)) memory.serve(self, message);
          if (random.oneIn(32)) self.hangUp();
        },
        std::chrono::milliseconds(20));
    std::vector<uint8_t> guarded(192, 0xa5);
    Failure failure;
    uint64_t done = 0;
    for (int i = 0; i < 12 && device.connection->lost() == Connection::Lost::no; i++) {
      const uint32_t width = 1u << callers.below(4);
      const auto run = callers.below(9);
      device.region->load(0, guarded.data() + 64, width, failure);
      device.region->loadWords(64, guarded.data() + 64, run, done, failure);
      CHECK(done <= run);
      const std::vector<Word> all = words(run);
      device.region->storeWords(all.data(), run, done, failure);
      CHECK(done <= run);
    }
    for (size_t i = 0; i < 64; i++) {
      CHECK(guarded[i] == 0xa5);
      CHECK(guarded[128 + i] == 0xa5);
    }
  }
}

}  // namespace ismio::test
