// Messages where they were read.
#include "vfio-user/channel.h"

#include <doctest.h>

#include <array>
#include <cstring>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace ismio::vfio_user {
namespace {

class Pair {
 public:
  Pair() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) == 0); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    for (const int end : ends_) close(end);
  }
  int reads() const { return ends_[1]; }
  void send(uint16_t id, size_t payload, std::span<const int> descriptors = {}, size_t withheld = 0) {
    const Header header{id, Command::regionWrite, static_cast<uint32_t>(sizeof header + payload), 0, 0};
    std::vector<uint8_t> bytes(header.size, static_cast<uint8_t>(id));
    memcpy(bytes.data(), &header, sizeof header);
    const size_t sent = bytes.size() - withheld;
    REQUIRE(sendBytes(ends_[0], std::span(bytes).first(sent), descriptors) == static_cast<int64_t>(sent));
  }
  void sendRest(std::span<const uint8_t> bytes) {
    REQUIRE(sendBytes(ends_[0], bytes, {}) == static_cast<int64_t>(bytes.size()));
  }

 private:
  std::array<int, 2> ends_{};
};

TEST_CASE("a message is seen where it lies as often as one looks, until it is passed") {
  Pair pair;
  Reader reader;
  CHECK_FALSE(reader.look().has_value());
  pair.send(1, 3);
  pair.send(2, 0);
  REQUIRE(reader.more(pair.reads()) == Got::message);
  for (int i = 0; i < 2; i++) {
    const auto seen = reader.look();
    REQUIRE(seen.has_value());
    CHECK(seen->header.id == 1);
    CHECK(std::vector<uint8_t>(seen->payload.begin(), seen->payload.end()) == std::vector<uint8_t>{1, 1, 1});
  }
  reader.pass(*reader.look());
  CHECK(reader.look()->header.id == 2);
  CHECK(reader.look()->payload.empty());
  Message message;
  CHECK(reader.buffered(message) == Got::message);
  CHECK(message.header.id == 2);
  CHECK_FALSE(reader.look().has_value());
}

TEST_CASE("a message of which a part came is not seen before the rest is there, however long it is") {
  Pair pair;
  Reader reader;
  const std::vector<uint8_t> rest(100, 7);
  pair.send(7, 100'000, {}, rest.size());
  while (reader.more(pair.reads()) == Got::message) CHECK_FALSE(reader.look().has_value());
  pair.sendRest(rest);
  REQUIRE(reader.more(pair.reads()) == Got::message);
  REQUIRE(reader.look().has_value());
  CHECK(reader.look()->payload.size() == 100'000);
  CHECK(reader.look()->payload.back() == 7);
}

TEST_CASE("what came with descriptors is not seen in place, what lies before and behind is, and gets none of them") {
  Pair pair;
  Reader reader;
  const int event = eventfd(0, EFD_CLOEXEC);
  pair.send(1, 8);
  pair.send(2, 8, std::span(&event, 1));
  pair.send(3, 8);
  close(event);
  while (reader.more(pair.reads()) == Got::message) {}
  REQUIRE(reader.look().has_value());
  reader.pass(*reader.look());
  CHECK_FALSE(reader.look().has_value());
  Message message;
  REQUIRE(reader.buffered(message) == Got::message);
  CHECK(message.header.id == 2);
  CHECK(message.descriptors.size() == 1);
  REQUIRE(reader.look().has_value());
  CHECK(reader.look()->header.id == 3);
}

TEST_CASE("a length that no message has is not seen: the reader tells of it") {
  Pair pair;
  Reader reader;
  const Header header{1, Command::regionWrite, 3, 0, 0};
  pair.sendRest(std::span(reinterpret_cast<const uint8_t*>(&header), sizeof header));
  REQUIRE(reader.more(pair.reads()) == Got::message);
  CHECK_FALSE(reader.look().has_value());
  Message message;
  CHECK(reader.buffered(message) == Got::broken);
}

}  // namespace
}  // namespace ismio::vfio_user
