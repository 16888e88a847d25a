// A client of a function that is served, which sends whatever it likes.
#pragma once

#include <doctest.h>
#include <sys/eventfd.h>

#include <cstring>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "support/served.h"

namespace ismio::test {

using vfio_user::Command;
using vfio_user::Header;
using vfio_user::kError;
using vfio_user::kNoReply;
using vfio_user::kReply;

class Eventfd {
 public:
  Eventfd() : number_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { REQUIRE(number_ >= 0); }
  ~Eventfd() { close(number_); }
  Eventfd(const Eventfd&) = delete;
  Eventfd& operator=(const Eventfd&) = delete;
  int number() const { return number_; }
  uint64_t count() const {
    eventfd_t value = 0;
    if (eventfd_read(number_, &value) != 0) return 0;
    // An emulator of another byte order turns what is written to a duplicate, and not what is read (QEMU's
    // linux-user/fd-trans.c): so small a count shows at the upper end.
    return value >> 56 != 0 ? __builtin_bswap64(value) : value;
  }

 private:
  const int number_;
};

using Body = std::vector<uint8_t>;

inline void append(Body&) {}
template <class First, class... Rest>
void append(Body& body, const First& first, const Rest&... rest) {
  if constexpr (std::is_same_v<First, Body>) {
    body.insert(body.end(), first.begin(), first.end());
  } else {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&first);
    body.insert(body.end(), bytes, bytes + sizeof first);
  }
  append(body, rest...);
}
// The bytes of structs and bodies, one behind the other.
template <class... Part>
Body bodyOf(const Part&... parts) {
  Body body;
  append(body, parts...);
  return body;
}

// A client by hand.
class RawClient {
 public:
  explicit RawClient(const Served& served, bool negotiates = true) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(served.path().size() < sizeof address.sun_path);
    memcpy(address.sun_path, served.path().c_str(), served.path().size());
    socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(socket_ >= 0);
    REQUIRE(connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    if (negotiates) REQUIRE(call(Command::version, bodyOf(vfio_user::Version{0, 1})) == 0);
  }
  ~RawClient() { hangUp(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void hangUp() {
    if (socket_ >= 0) close(std::exchange(socket_, -1));
  }
  int socketNumber() const { return socket_; }

  void sendBytes(const Body& bytes, const std::vector<int>& descriptors = {}) const {
    size_t done = 0;
    while (done < bytes.size()) {
      const auto left = std::span(bytes).subspan(done);
      const int64_t sent = vfio_user::sendBytes(socket_, left, done == 0 ? descriptors : std::vector<int>{});
      if (sent == -EAGAIN) {
        pollfd ready{socket_, POLLOUT, 0};
        poll(&ready, 1, -1);
        continue;
      }
      if (sent < 0) return;  // the server has closed: what it answered before is there to be read
      done += static_cast<size_t>(sent);
    }
  }
  // Returns the id of the message.
  uint16_t send(Command command, const Body& body, const std::vector<int>& descriptors = {}, uint32_t flags = 0) {
    const auto size = static_cast<uint32_t>(sizeof(Header) + body.size());
    sendBytes(bodyOf(Header{++id_, command, size, flags, 0}, body), descriptors);
    return id_;
  }
  // False: the server has closed, or does not answer.
  bool receive(vfio_user::Message& message, int milliseconds = 10'000) {
    vfio_user::Got got = reader_.buffered(message);
    while (got == vfio_user::Got::nothing) {
      pollfd ready{socket_, POLLIN, 0};
      if (poll(&ready, 1, milliseconds) <= 0) return false;
      got = reader_.next(socket_, message);
    }
    return got == vfio_user::Got::message;
  }
  // 0 or the errno of the reply, which is a proper one; its body in `reply`. -1: the server has closed.
  int32_t call(Command command, const Body& body, const std::vector<int>& descriptors = {}) {
    const uint16_t id = send(command, body, descriptors);
    if (!receive(reply)) return -1;
    CHECK(reply.header.id == id);
    CHECK(reply.header.command == command);
    CHECK((reply.header.flags & ~kError) == kReply);
    if ((reply.header.flags & kError) == 0) {
      CHECK(reply.header.error == 0);
      return 0;
    }
    CHECK(reply.payload.empty());
    CHECK(reply.header.error != 0);
    return static_cast<int32_t>(reply.header.error);
  }
  int32_t read(uint32_t region, uint64_t offset, uint32_t count) {
    const vfio_user::RegionAccess access{offset, region, count};
    const int32_t error = call(Command::regionRead, bodyOf(access));
    if (error == 0) {
      REQUIRE(reply.payload.size() == sizeof access + count);
      CHECK(memcmp(reply.payload.data(), &access, sizeof access) == 0);
    }
    return error;
  }
  int32_t write(uint32_t region, uint64_t offset, const Body& bytes) {
    const vfio_user::RegionAccess access{offset, region, static_cast<uint32_t>(bytes.size())};
    const int32_t error = call(Command::regionWrite, bodyOf(access, bytes));
    if (error == 0) {
      REQUIRE(reply.payload.size() == sizeof access);
      CHECK(memcmp(reply.payload.data(), &access, sizeof access) == 0);
    }
    return error;
  }
  void post(uint32_t region, uint64_t offset, const Body& bytes) {
    const vfio_user::RegionAccess access{offset, region, static_cast<uint32_t>(bytes.size())};
    send(Command::regionWrite, bodyOf(access, bytes), {}, kNoReply);
  }
  // What a read answered.
  Body data() const { return {reply.payload.begin() + sizeof(vfio_user::RegionAccess), reply.payload.end()}; }
  // Whether the server answers still, in step.
  bool sound() { return call(Command::deviceGetInfo, bodyOf(uint32_t{16}, uint32_t{0}, uint64_t{0})) == 0; }

  vfio_user::Message reply;

 private:
  int socket_ = -1;
  uint16_t id_ = 0;
  vfio_user::Reader reader_;
};

}  // namespace ismio::test
