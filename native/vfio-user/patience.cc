#include "vfio-user/patience.h"

#include <algorithm>
#include <poll.h>

namespace ismio::vfio_user {

bool Patience::awaitAlone(int socket, short events, Clock::time_point until) {
  while (true) {
    const auto left = std::max<std::chrono::nanoseconds>(until - Clock::now(), {});
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec time{static_cast<time_t>(seconds.count()), static_cast<long>((left - seconds).count())};
    pollfd waited{socket, events, 0};
    if (ppoll(&waited, 1, &time, nullptr) > 0) return true;  // a signal handler cuts it short: it waits again
    if (Clock::now() >= until) return false;
  }
}

bool Patience::await(int socket, short events, Clock::time_point until, const std::function<bool()>& enough) const {
  return serves() ? desk_->serveUntil(enough, until, socket, events) : awaitAlone(socket, events, until);
}

}  // namespace ismio::vfio_user
