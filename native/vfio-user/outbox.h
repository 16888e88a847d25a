// The sending half of a connection. Any thread sends; what the socket does not take at once is kept, in order, until it
// does.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "vfio-user/channel.h"
#include "vfio-user/common.h"

namespace ismio::vfio_user {

using Parts = std::span<const std::span<const uint8_t>>;

class Outbox {
 public:
  // The socket is the caller's, and stays open until `end`. The server's thread is woken when something is kept, or
  // nothing can be sent any more.
  Outbox(int socket, std::shared_ptr<Common> common) : socket_(socket), common_(std::move(common)) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // False: nothing can be sent any more. Descriptors stay the caller's.
  bool send(const Header& header, Parts parts, std::span<const int> descriptors = {});
  // The same for whole messages, one behind the other.
  bool send(std::span<const uint8_t> messages);
  // What was kept goes as far as the socket takes it.
  bool flush();
  // Nothing is sent any more.
  void end();

  size_t kept() const { return kept_.load(); }
  bool ended() const { return ended_.load(); }

 private:
  struct Packet {
    std::vector<uint8_t> bytes;
    size_t sent = 0;
    Descriptors descriptors;
  };

  bool keep(const Header& header, Parts parts, size_t sent, std::span<const int> descriptors);
  bool keep(Packet packet);
  bool sendFirst();
  bool fail();

  const int socket_;
  const std::shared_ptr<Common> common_;
  std::mutex mutex_;
  std::deque<Packet> packets_;
  std::atomic<size_t> kept_{0};
  std::atomic<bool> ended_{false};
};

}  // namespace ismio::vfio_user
