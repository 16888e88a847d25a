// A client's end of a socket: what is asked of it by many threads, and by the server, and how it ends.
#include <doctest.h>

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <poll.h>
#include <sys/mman.h>
#include <vector>

#include "support/random.h"
#include "support/raw_server.h"
#include "vfio-user/connection.h"

namespace ismio::test {

using vfio_user::Clock;
using vfio_user::Command;
using vfio_user::Connection;
using vfio_user::DmaAccess;
using vfio_user::Header;
using vfio_user::Message;
using vfio_user::Reply;

namespace {

constexpr std::chrono::milliseconds kLong{5000};
constexpr std::chrono::milliseconds kShort{50};

// Closed with the test.
class Client {
 public:
  explicit Client(const RawServer& server, std::chrono::milliseconds within = kLong,
                  std::shared_ptr<device::Desk> desk = nullptr) {
    Connection::Problem problem;
    connection = Connection::open(server.path(), {within, std::move(desk)}, problem);
    REQUIRE(connection != nullptr);
  }
  ~Client() { connection->close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What a command is answered with; its payload in `payload`, which is as long as a reply may be.
  int32_t call(std::vector<uint8_t>& payload, Command command = Command::deviceGetInfo,
               const std::vector<uint8_t>& asked = {}) const {
    Reply reply;
    reply.head = payload;
    const std::span<const uint8_t> part(asked);
    const int32_t error = connection->call(command, std::span(&part, 1), {}, reply);
    payload.resize(reply.length);
    return error;
  }
  int32_t call() const {
    std::vector<uint8_t> payload(64);
    return call(payload);
  }

  std::shared_ptr<Connection> connection;
};

template <typename Condition>
void until(Condition condition) {
  const auto end = Clock::now() + std::chrono::seconds(10);
  while (!condition() && Clock::now() < end) std::this_thread::yield();
}

void untilLost(const Connection& connection) {
  until([&] { return connection.lost() != Connection::Lost::no; });
}

size_t openDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

struct Buffer {
  explicit Buffer(uint64_t length) : bytes(std::make_shared<std::vector<uint8_t>>(length)) {}
  device::DmaMap::Mapping mapping(bool readable = true, bool writable = true) const {
    return {bytes->size(), readable, writable, bytes->data(), bytes, nullptr};
  }
  std::shared_ptr<std::vector<uint8_t>> bytes;
};

// Asks the client for memory, and gives its reply.
Message ask(RawServer& server, Command command, const DmaAccess& access, const std::vector<uint8_t>& more = {},
            uint32_t flags = 0) {
  std::vector<uint8_t> payload = bytesOf(access);
  payload.insert(payload.end(), more.begin(), more.end());
  server.send({77, command, static_cast<uint32_t>(sizeof(Header) + payload.size()), flags, 0}, payload);
  Message reply;
  if (flags == 0) {
    CHECK(server.next(reply));
    CHECK(reply.header.id == 77);
    CHECK(reply.header.command == command);
    CHECK((reply.header.flags & vfio_user::kTypeMask) == vfio_user::kReply);
  }
  return reply;
}

}  // namespace

TEST_CASE("a server that is not there is told by the call that failed") {
  Connection::Problem problem;
  CHECK(Connection::open("/dev/shm/no such socket", {}, problem) == nullptr);
  CHECK(std::string(problem.call) == "connect");
  CHECK(problem.errorNumber == ENOENT);
  CHECK(Connection::open(std::string(108, 'x'), {}, problem) == nullptr);
  CHECK(problem.errorNumber == ENAMETOOLONG);
}

TEST_CASE("a command's reply goes into its place, up to its length") {
  RawServer server([](RawServer& self) {
    Message message;
    while (self.next(message)) self.reply(message, message.payload);
  });
  const Client client(server);
  CHECK(client.connection->peer().process == getpid());
  std::vector<uint8_t> payload(3);
  CHECK(client.call(payload, Command::deviceGetInfo, {1, 2}) == 0);
  CHECK(payload == std::vector<uint8_t>{1, 2});
  payload.assign(2, 0xee);
  CHECK(client.call(payload, Command::deviceGetInfo, {1, 2, 3}) == EPROTO);
  payload.assign(2, 0);
  CHECK(client.call(payload, Command::deviceGetInfo, {4, 5}) == 0);
  CHECK(payload == std::vector<uint8_t>{4, 5});
}

TEST_CASE("an error of the server is the call's; one without a number is EIO, one that no errno has EPROTO") {
  RawServer server([](RawServer& self) {
    Message message;
    for (const uint32_t error : {uint32_t{EINVAL}, 0u, 4095u, 4096u, UINT32_MAX}) {
      if (self.next(message)) self.refuse(message, error);
    }
    self.next(message);
  });
  const Client client(server);
  for (const int32_t error : {EINVAL, EIO, 4095, EPROTO, EPROTO}) CHECK(client.call() == error);
  CHECK(client.connection->lost() == Connection::Lost::no);
}

TEST_CASE("replies come in any order, to the threads that wait for them") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 200;
  RawServer server([](RawServer& self) {
    std::vector<Message> held;
    Random random(1);
    for (int left = kThreads * kCalls; left > 0;) {
      // Those that wait send nothing more, so another message is waited for in vain now and then.
      pollfd more{self.client(), POLLIN, 0};
      if (Message message; (held.empty() || poll(&more, 1, 1) > 0) && self.next(message)) {
        held.push_back(std::move(message));
        if (held.size() < 3) continue;
      }
      if (held.empty()) return;
      const auto one = held.begin() + static_cast<ptrdiff_t>(random.below(held.size()));
      self.reply(*one, one->payload);
      held.erase(one);
      left--;
    }
    Message message;
    self.next(message);
  });
  const Client client(server);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; thread++) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kCalls; i++) {
        std::vector<uint8_t> payload(8);
        const std::vector<uint8_t> asked = bytesOf(int64_t{thread} << 32 | i);
        if (client.call(payload, Command::deviceGetInfo, asked) == 0 && payload == asked) right++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == kThreads * kCalls);
}

TEST_CASE("the server reads and writes mapped memory while the client is idle") {
  const Buffer buffer(8192);
  std::atomic<bool> mapped{false};
  {
    RawServer server([&](RawServer& self) {
      while (!mapped) std::this_thread::yield();
      ask(self, Command::dmaWrite, {0x10001, 3}, {7, 8, 9});
      ask(self, Command::dmaWrite, {0x10010, 2}, {5, 6}, vfio_user::kNoReply);
      const Message reply = ask(self, Command::dmaRead, {0x10000, 5});
      CHECK(valueIn<DmaAccess>(reply.payload).count == 5);
      const std::vector<uint8_t> read(reply.payload.begin() + sizeof(DmaAccess), reply.payload.end());
      CHECK(read == std::vector<uint8_t>{0, 7, 8, 9, 0});
    });
    const Client client(server);
    REQUIRE(client.connection->dma().map(0x10000, buffer.mapping()) == 0);
    mapped = true;
    untilLost(*client.connection);
  }
  CHECK((*buffer.bytes)[0x11] == 6);
}

TEST_CASE("the server reads and writes mapped memory while the client waits for it") {
  const Buffer buffer(4096);
  RawServer server([](RawServer& self) {
    Message message;
    for (uint8_t round = 1; self.next(message); round++) {
      ask(self, Command::dmaWrite, {0, 1}, {round});
      const Message reply = ask(self, Command::dmaRead, {0, 1});
      self.reply(message, {reply.payload.back()});
    }
  });
  const Client client(server);
  REQUIRE(client.connection->dma().map(0, buffer.mapping()) == 0);
  for (uint8_t round = 1; round < 50; round++) {
    std::vector<uint8_t> payload(1);
    CHECK(client.call(payload) == 0);
    CHECK(payload == std::vector<uint8_t>{round});
  }
}

TEST_CASE("what the server may not ask is answered with an error, and the connection is sound") {
  const Buffer readOnly(4096), writeOnly(4096);
  RawServer server([](RawServer& self) {
    const auto error = [&](Command command, const DmaAccess& access, const std::vector<uint8_t>& more = {}) {
      const Message reply = ask(self, command, access, more);
      CHECK(reply.payload.empty());
      return reply.header.error;
    };
    Message message;
    self.next(message);
    CHECK(error(Command::dmaRead, {0x8000, 1}) == EFAULT);
    CHECK(error(Command::dmaRead, {0xffff'ffff'ffff'ffff, 2}) == EFAULT);
    CHECK(error(Command::dmaRead, {4095, 2}) == EACCES);
    CHECK(error(Command::dmaRead, {0, UINT64_MAX}) == EINVAL);
    CHECK(error(Command::dmaRead, {0, vfio_user::kMaxTransfer + 1}) == EINVAL);
    CHECK(error(Command::dmaRead, {0, 1}, {1}) == EINVAL);
    CHECK(error(Command::dmaWrite, {4096, 2}, {1}) == EINVAL);
    CHECK(error(Command::dmaWrite, {4096, 1}, {1, 2}) == EINVAL);
    CHECK(error(Command::dmaWrite, {0, 1}, {1}) == EACCES);
    CHECK(error(Command::regionRead, {0, 1}) == ENOSYS);
    CHECK(error(static_cast<Command>(999), {0, 1}) == ENOSYS);
    self.send({5, Command::dmaRead, sizeof(Header) + 3, 0, 0}, {1, 2, 3});
    Message reply;
    REQUIRE(self.next(reply));
    CHECK(reply.header.error == EINVAL);
    self.reply(message);
    self.next(message);
  });
  const Client client(server);
  REQUIRE(client.connection->dma().map(0, readOnly.mapping(true, false)) == 0);
  REQUIRE(client.connection->dma().map(4096, writeOnly.mapping(false, true)) == 0);
  CHECK(client.call() == 0);
  CHECK((*readOnly.bytes)[0] == 0);
}

TEST_CASE("a server that hangs up is lost at once, whether somebody waits or nobody does") {
  for (const bool waiting : {true, false}) {
    std::atomic<int> told{0};
    std::atomic<bool> heard{false};
    RawServer server([&](RawServer& self) {
      Message message;
      if (waiting) return void(self.next(message));
      while (!heard) std::this_thread::yield();
    });
    const Client client(server);
    client.connection->whenLost([&](Connection::Lost why) {
      CHECK(why == Connection::Lost::hungUp);
      told++;
    });
    heard = true;
    if (waiting) CHECK(client.call() == ENODEV);
    untilLost(*client.connection);
    CHECK(client.connection->lost() == Connection::Lost::hungUp);
    CHECK(client.call() == ENODEV);
    until([&] { return told == 1; });  // who notices marks it first, and tells then
    client.connection->close();
    CHECK(told == 1);
    client.connection->whenLost([&](Connection::Lost) { told++; });
    CHECK(told == 2);
  }
}

TEST_CASE("what the server said before it hung up is heard") {
  RawServer server([](RawServer& self) {
    Message message;
    if (self.next(message)) self.refuse(message, EBUSY);
  });
  const Client client(server);
  CHECK(client.call() == EBUSY);
  untilLost(*client.connection);
  CHECK(client.connection->lost() == Connection::Lost::hungUp);
}

TEST_CASE("a server that does not answer in time is lost, for every thread that waits") {
  RawServer server([](RawServer& self) {
    Message message;
    while (self.next(message)) {}
  });
  const Client client(server, kShort);
  std::thread other([&] { CHECK(client.call() == ENODEV); });
  CHECK(client.call() == ENODEV);
  other.join();
  CHECK(client.connection->lost() == Connection::Lost::silent);
}

TEST_CASE("a server that takes nothing more is lost, too") {
  std::atomic<bool> over{false};
  RawServer server([&](RawServer&) {
    while (!over) std::this_thread::yield();
  });
  const Client client(server, kShort);
  const std::vector<uint8_t> bytes(1 << 20);
  const Block block{0, bytes.data(), 1 << 20};
  uint64_t done = 0;
  int32_t error = 0;
  for (int i = 0; i < 16 && error == 0; i++) error = client.connection->write(0, std::span(&block, 1), true, done);
  CHECK(error == ENODEV);
  CHECK(client.connection->lost() == Connection::Lost::silent);
  over = true;
}

TEST_CASE("a long batch whose replies come slowly is not given up while they come") {
  RawServer server([](RawServer& self) {
    RawMemory memory(4096);
    Message message;
    while (self.next(message)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      memory.serve(self, message);
    }
  });
  const Client client(server, std::chrono::milliseconds(600));
  const uint64_t word = 1;
  const std::vector<Block> blocks(40, Block{0, reinterpret_cast<const uint8_t*>(&word), 8});
  uint64_t done = 0;
  CHECK(client.connection->write(0, blocks, false, done) == 0);
  CHECK(done == 40);
}

TEST_CASE("a message that nobody can have meant loses the server") {
  using Script = std::function<void(RawServer&, const Message&)>;
  const Script scripts[] = {
      // a reply to nothing
      [](RawServer& self, const Message& to) {
        self.send({static_cast<uint16_t>(to.header.id + 1), to.header.command, sizeof(Header), vfio_user::kReply, 0});
      },
      // to another command
      [](RawServer& self, const Message& to) {
        self.send({to.header.id, Command::deviceReset, sizeof(Header), vfio_user::kReply, 0});
      },
      // neither a command nor a reply
      [](RawServer& self, const Message& to) {
        self.send({to.header.id, to.header.command, sizeof(Header), 2, 0});
      },
      // shorter than a header, longer than any message
      [](RawServer& self, const Message& to) {
        self.send({to.header.id, to.header.command, sizeof(Header) - 1, vfio_user::kReply, 0});
      },
      [](RawServer& self, const Message& to) {
        self.send({to.header.id, to.header.command, vfio_user::kLongestMessage + 1, vfio_user::kReply, 0});
      },
  };
  for (const Script& script : scripts) {
    RawServer server([&](RawServer& self) {
      Message message;
      if (self.next(message)) script(self, message);
      self.next(message);
    });
    const Client client(server);
    CHECK(client.call() == ENODEV);
    CHECK(client.connection->lost() == Connection::Lost::broken);
  }
}

TEST_CASE("descriptors that nobody wants are closed") {
  const size_t before = openDescriptors();
  {
    RawServer server([](RawServer& self) {
      const std::vector<int> many(vfio_user::kMaxMessageFds, self.client());
      Message message;
      REQUIRE(self.next(message));
      self.reply(message, {}, many);
      REQUIRE(self.next(message));
      self.reply(message, std::vector<uint8_t>(65), many);
      REQUIRE(self.next(message));
      self.send({1, Command::dmaRead, sizeof(Header), vfio_user::kNoReply, 0}, {}, many);
      self.send({message.header.id, message.header.command, sizeof(Header) - 1, vfio_user::kReply, 0}, {}, many);
    });
    const Client client(server);
    CHECK(client.call() == 0);
    CHECK(client.call() == EPROTO);
    CHECK(client.call() == ENODEV);
  }
  CHECK(openDescriptors() == before);
}

TEST_CASE("a descriptor that is wanted comes with its reply, and one that is given arrives") {
  const int given = memfd_create("test", MFD_CLOEXEC);
  REQUIRE(ftruncate(given, 123) == 0);
  RawServer server([](RawServer& self) {
    Message message;
    REQUIRE(self.next(message));
    REQUIRE(message.descriptors.size() == 1);
    const int got = message.descriptors.take(0);
    self.reply(message, {1}, {got});
    close(got);
  });
  const Client client(server);
  std::vector<uint8_t> payload(1);
  Reply reply;
  reply.head = payload;
  CHECK(client.connection->call(Command::deviceGetRegionInfo, {}, std::span(&given, 1), reply) == 0);
  const int got = reply.descriptors.take(0);
  CHECK(lseek(got, 0, SEEK_END) == 123);
  close(got);
  close(given);
}

TEST_CASE("a thread serves its desk while it waits, and what that does may call the server as well") {
  struct Silent final : device::Answerer {
    bool answer(const std::shared_ptr<device::Request>&, int32_t&, Later) override { return true; }
    void wake() override {}
    void wakeLater() override {}
  } answerer;
  const auto desk = std::make_shared<device::Desk>(answerer);
  std::atomic<Client*> client{nullptr};
  std::atomic<int> nested{0};
  RawServer server([&](RawServer& self) {
    Message message;
    while (self.next(message)) {
      if (message.header.command == Command::deviceReset) {
        self.reply(message);
        continue;
      }
      // The reply is that of the client's own thread.
      std::atomic<bool> served{false};
      desk->put([&] {
        std::vector<uint8_t> nothing;
        if (client.load()->call(nothing, Command::deviceReset) == 0) nested++;
        served = true;
      });
      Message inner;
      if (self.next(inner)) self.reply(inner);
      while (!served) std::this_thread::yield();
      self.reply(message);
    }
  });
  Client own(server, kLong, desk);
  client = &own;
  for (int i = 0; i < 20; i++) CHECK(own.call() == 0);
  CHECK(nested == 20);
  desk->end();
}

TEST_CASE("what a desk has may close the connection in the middle of a message that another thread waits to end") {
  struct Silent final : device::Answerer {
    bool answer(const std::shared_ptr<device::Request>&, int32_t&, Later) override { return true; }
    void wake() override {}
    void wakeLater() override {}
  } answerer;
  const auto desk = std::make_shared<device::Desk>(answerer);
  desk->expect();
  std::atomic<bool> asked{false};
  std::atomic<bool> ended{false};
  std::atomic<Client*> client{nullptr};
  RawServer server([&](RawServer& self) {
    pollfd begun{self.client(), POLLIN, 0};
    poll(&begun, 1, -1);
    // Answered by the connection's own thread, behind what is not read here.
    const DmaAccess access{0x1000, 8};
    self.send({77, Command::dmaRead, static_cast<uint32_t>(sizeof(Header) + sizeof access), 0, 0}, bytesOf(access));
    until([&] { return asked.load(); });
    std::this_thread::sleep_for(kShort);
    desk->put([&] { client.load()->connection->close(); });
    until([&] { return ended.load(); });  // hanging up earlier would be another loss
  });
  Client own(server, kLong, desk);
  client = &own;
  const Buffer buffer(4096);
  auto mapping = buffer.mapping();
  mapping.lost = [&] {
    asked = true;
    return false;
  };
  REQUIRE(own.connection->dma().map(0x1000, mapping) == 0);
  const std::vector<uint8_t> source(1 << 20);
  const std::vector<Block> blocks(16, Block{0, source.data(), static_cast<uint32_t>(source.size())});
  uint64_t done = 0;
  CHECK(own.connection->write(0, blocks, false, done) == ENODEV);
  CHECK(own.connection->lost() == Connection::Lost::closed);
  ended = true;
  desk->end();
}

TEST_CASE("a connection that is closed tells nobody, and ends what waits") {
  std::atomic<bool> asked{false};
  RawServer server([&](RawServer& self) {
    Message message;
    self.next(message);
    asked = true;
    self.next(message);
  });
  const Client client(server);
  std::atomic<int> told{0};
  client.connection->whenLost([&](Connection::Lost) { told++; });
  std::thread waiting([&] { CHECK(client.call() == ENODEV); });
  while (!asked) std::this_thread::yield();
  client.connection->close();
  waiting.join();
  CHECK(told == 0);
  CHECK(client.connection->lost() == Connection::Lost::closed);
}

}  // namespace ismio::test
