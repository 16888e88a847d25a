// How a thread waits for a socket: a JavaScript thread serves its desk meanwhile, because what it waits for may be an
// answer that only itself can give (a client and its server in one thread).
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "device/desk.h"

namespace ismio::vfio_user {

using Clock = std::chrono::steady_clock;

class Patience {
 public:
  // `desk`: of the thread that opened the connection; null where there is none.
  explicit Patience(std::shared_ptr<device::Desk> desk) : desk_(std::move(desk)) {}
  Patience(const Patience&) = delete;
  Patience& operator=(const Patience&) = delete;

  // Whether this is the thread that serves the desk.
  bool serves() const { return desk_ != nullptr && desk_->here(); }
  // Whether that thread may be asked for an answer: else nothing comes that it would have to serve.
  bool asked() const { return desk_->used(); }
  // From any thread: whoever waits looks again whether it is enough.
  void poke() const {
    if (desk_ != nullptr) desk_->poke();
  }

  // Until the socket has one of `events`, or `enough` says so. False when `until` has come.
  bool await(int socket, short events, Clock::time_point until, const std::function<bool()>& enough) const;
  // The same, and nothing is served meanwhile.
  static bool awaitAlone(int socket, short events, Clock::time_point until);

 private:
  const std::shared_ptr<device::Desk> desk_;
};

}  // namespace ismio::vfio_user
