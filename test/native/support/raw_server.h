// A server that a test scripts: it has the socket, and says what the test wants said.
#pragma once

#include <doctest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "vfio-user/channel.h"

namespace ismio::test {

class RawServer {
 public:
  // `script` runs in a thread of its own when a client has connected, and the socket is closed behind it.
  explicit RawServer(std::function<void(RawServer&)> script) {
    REQUIRE(mkdtemp(folder_) != nullptr);
    path_ = std::string(folder_) + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), address.sun_path);
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listening_, 8) == 0);
    thread_ = std::thread([this, script = std::move(script)] {
      client_ = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client_ < 0) return;
      script(*this);
      hangUp();
    });
  }
  ~RawServer() {
    shutdown(listening_, SHUT_RDWR);
    thread_.join();
    close(listening_);
    unlink(path_.c_str());
    rmdir(folder_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  const std::string& path() const { return path_; }
  int client() const { return client_; }
  void hangUp() {
    if (client_ >= 0) close(std::exchange(client_, -1));
  }

  // The next message; false when the client has gone.
  bool next(vfio_user::Message& message) {
    while (true) {
      const vfio_user::Got got = reader_.next(client_, message);
      if (got == vfio_user::Got::message) return true;
      if (got != vfio_user::Got::nothing) return false;
      pollfd waited{client_, POLLIN, 0};
      poll(&waited, 1, -1);
    }
  }

  void send(const vfio_user::Header& header, const std::vector<uint8_t>& payload = {},
            const std::vector<int>& descriptors = {}) const {
    const std::span<const uint8_t> part(payload);
    const auto parts = std::span(&part, 1);
    const auto size = static_cast<int64_t>(sizeof header + payload.size());
    while (true) {
      const int64_t sent = vfio_user::sendParts(client_, header, parts, descriptors);
      if (sent == size || (sent < 0 && sent != -EAGAIN)) return;
      REQUIRE(sent == -EAGAIN);  // what a test sends is short: all of it goes, or nothing
      std::this_thread::yield();
    }
  }
  void reply(const vfio_user::Message& to, const std::vector<uint8_t>& payload = {},
             const std::vector<int>& descriptors = {}) const {
    const auto size = static_cast<uint32_t>(sizeof(vfio_user::Header) + payload.size());
    send({to.header.id, to.header.command, size, vfio_user::kReply, 0}, payload, descriptors);
  }
  void refuse(const vfio_user::Message& to, uint32_t error) const {
    send({to.header.id, to.header.command, sizeof(vfio_user::Header), vfio_user::kReply | vfio_user::kError, error});
  }

 private:
  char folder_[32] = "/dev/shm/ismio-XXXXXX";
  std::string path_;
  int listening_ = -1;
  int client_ = -1;
  vfio_user::Reader reader_;
  std::thread thread_;
};

template <class Value>
std::vector<uint8_t> bytesOf(const Value& value) {
  const auto* first = reinterpret_cast<const uint8_t*>(&value);
  return {first, first + sizeof value};
}

template <class Value>
Value valueIn(const std::vector<uint8_t>& bytes, size_t at = 0) {
  Value value{};
  REQUIRE(bytes.size() >= at + sizeof value);
  memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Memory of registers behind a script: answers reads and writes of a region as a plain device does.
class RawMemory {
 public:
  explicit RawMemory(uint64_t size) : bytes_(size) {}

  // Whether the message was one of these.
  bool serve(RawServer& server, const vfio_user::Message& message) {
    const bool reading = message.header.command == vfio_user::Command::regionRead;
    if (!reading && message.header.command != vfio_user::Command::regionWrite) return false;
    const auto access = valueIn<vfio_user::RegionAccess>(message.payload);
    std::vector<uint8_t> payload = bytesOf(access);
    if (reading) {
      const std::vector<uint8_t> read = at(access.offset, access.count);
      payload.insert(payload.end(), read.begin(), read.end());
    } else {
      put(access.offset, {message.payload.begin() + sizeof access, message.payload.end()});
    }
    if ((message.header.flags & vfio_user::kNoReply) == 0) server.reply(message, payload);
    return true;
  }

  std::vector<uint8_t> at(uint64_t offset, uint64_t length) {
    const std::lock_guard lock(mutex_);
    const auto first = bytes_.begin() + static_cast<ptrdiff_t>(offset);
    return {first, first + static_cast<ptrdiff_t>(length)};
  }
  void put(uint64_t offset, const std::vector<uint8_t>& bytes) {
    const std::lock_guard lock(mutex_);
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
  }

 private:
  std::mutex mutex_;
  std::vector<uint8_t> bytes_;
};

}  // namespace ismio::test
