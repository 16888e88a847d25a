#include "vfio-user/outlet.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

#include "vfio-user/channel.h"

namespace ismio::vfio_user {
namespace {

// What is left when `bytes` of them have gone.
std::span<iovec> behind(std::span<iovec> pieces, size_t bytes) {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (bytes > 0) {
    pieces.front().iov_base = static_cast<uint8_t*>(pieces.front().iov_base) + bytes;
    pieces.front().iov_len -= bytes;
  }
  return pieces;
}

}  // namespace

Sent Outlet::send(std::span<iovec> pieces, std::span<const int> descriptors, std::chrono::milliseconds within,
                  Patience& patience) {
  const std::thread::id self = std::this_thread::get_id();
  const std::thread::id nobody;
  {
    std::unique_lock lock(mutex_);
    if (sender_ == self) return {EDEADLK, false};
    changed_.wait(lock, [&] { return sender_ == nobody || ended_; });
    if (ended_) return {EPIPE, false};
    sender_ = self;
  }
  const Sent sent = sendAll(pieces, descriptors, within, patience);
  const std::lock_guard lock(mutex_);
  sender_ = nobody;
  changed_.notify_one();
  return sent;
}

void Outlet::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

Sent Outlet::sendAll(std::span<iovec> pieces, std::span<const int> descriptors, std::chrono::milliseconds within,
                     Patience& patience) const {
  bool begun = false;
  while (!pieces.empty()) {
    // A call that waits in the system for room goes on at once; one that may have to serve a desk cannot.
    const int flags = patience.serves() && patience.asked() ? MSG_DONTWAIT : 0;
    const int64_t sent = sendPieces(socket_, pieces.first(std::min(pieces.size(), kMostPieces)),
                                    begun ? std::span<const int>() : descriptors, flags);
    if (sent > 0) {
      begun = true;
      pieces = behind(pieces, static_cast<size_t>(sent));
    } else if (sent != -EAGAIN) {
      return {static_cast<int32_t>(-sent), begun};
    } else if (!patience.await(socket_, POLLOUT, Clock::now() + within, [] { return false; })) {
      return {ETIMEDOUT, begun};
    }
  }
  return {};
}

}  // namespace ismio::vfio_user
