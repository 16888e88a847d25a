// What a JavaScript thread waits for at servers right now. A server whose device this very thread answers for sees by
// it that an answer, if it were to come later, would be waited for by the one that had to give it.
#pragma once

#include <cstdint>
#include <string>

namespace ismio::vfio_user {

// The name of a socket: of this end, or of the other. A client has one of its own, which the system gave it; empty
// where there is none.
std::string nameOf(int socket);
std::string peerNameOf(int socket);

// For its lifetime, on one thread: it waits for the replies to `count` messages from `first` on, sent by the client
// with this name.
class Awaiting {
 public:
  Awaiting(const std::string& client, uint16_t first, uint16_t count);
  ~Awaiting();
  Awaiting(const Awaiting&) = delete;
  Awaiting& operator=(const Awaiting&) = delete;

  // How many waits of the calling thread there are, one within the other.
  static uint32_t depth();
  // Whether it waits for the reply to this message of that client, or to any of them, deeper than that.
  static bool awaits(const std::string& client, uint16_t id, uint32_t deeper = 0);
  static bool awaitsAny(const std::string& client, uint32_t deeper);
  // From any thread: whether any thread waits so.
  static bool anybody();

 private:
  const std::string& client_;
  const uint16_t first_;
  const uint16_t count_;
  const Awaiting* const outer_;
  const uint32_t depth_;
};

}  // namespace ismio::vfio_user
