// The writing half of a socket: whole messages, one behind the other, from any thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <sys/uio.h>
#include <thread>

#include "vfio-user/patience.h"

namespace ismio::vfio_user {

// How sending ended.
struct Sent {
  int32_t error = 0;
  bool cut = false;  // a part of it went: nobody can follow the stream any further
};

class Outlet {
 public:
  // As many as one call of sendmsg takes (UIO_MAXIOV).
  static constexpr size_t kMostPieces = 1024;

  explicit Outlet(int socket) : socket_(socket) {}
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  // Sends all of `pieces`, which are messages with their headers, in as few calls as the socket lets it; `descriptors`
  // go with the first byte. ETIMEDOUT when it took nothing for so long. EDEADLK, and nothing is sent, on a thread that
  // is in the middle of a message already: it serves its desk, and what it serves sends again. EPIPE after `end`.
  Sent send(std::span<iovec> pieces, std::span<const int> descriptors, std::chrono::milliseconds within,
            Patience& patience);
  // The socket is shut down: nobody waits for a turn any more. Whoever has one may be the thread that calls this, in
  // the middle of a message, and may wait for those that would have come behind it.
  void end();

 private:
  Sent sendAll(std::span<iovec> pieces, std::span<const int> descriptors, std::chrono::milliseconds within,
               Patience& patience) const;

  const int socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id sender_;  // whose turn it is; none where it is nobody's
  bool ended_ = false;
};

}  // namespace ismio::vfio_user
