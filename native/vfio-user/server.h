// A function served to clients over a socket, one client at a time: QEMU, another process, this one.
//
// One thread for the socket and its client. It never waits for JavaScript, so it answers for it where that is late.
#pragma once

#include <pthread.h>

#include <atomic>
#include <list>
#include <memory>
#include <optional>
#include <poll.h>
#include <vector>

#include "device/function.h"
#include "vfio-user/common.h"
#include "vfio-user/listener.h"
#include "vfio-user/session.h"

namespace ismio::vfio_user {

class Server {
 public:
  using Problem = Listener::Problem;

  // Null, and why in `problem`. `told` is called on any thread, and must not call the server.
  static std::unique_ptr<Server> start(std::shared_ptr<device::Function> function, std::unique_ptr<Listener> listener,
                                       uint64_t maxDmaMaps, Common::Told told, Problem& problem);
  // Lets go of the client and joins the thread; unlinks the socket.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const Counts& counts() const { return common_->counts; }

 private:
  // Somebody who came while there was another client. Its version is refused, so that it can say why.
  struct TurnedAway {
    int socket;
    Reader reader;
    Session::Clock::time_point until;
  };

  Server(std::shared_ptr<device::Function> function, std::unique_ptr<Listener> listener, uint64_t maxDmaMaps,
         Common::Told told);
  void serve();
  void wait();
  std::optional<Session::Clock::time_point> due() const;
  void accept();
  void take(int socket);
  void turnAway(int socket);
  void refuse(TurnedAway& one, bool readable);
  void letGo();

  const std::shared_ptr<device::Function> function_;
  std::unique_ptr<Listener> listener_;
  const uint64_t maxDmaMaps_;
  const std::shared_ptr<Common> common_;
  std::atomic<bool> ending_{false};
  bool started_ = false;
  pthread_t thread_{};

  // The thread's.
  std::shared_ptr<Session> session_;
  std::list<TurnedAway> turnedAway_;
  std::vector<pollfd> polled_;
  std::optional<Session::Clock::time_point> acceptsFrom_;  // after trouble
};

}  // namespace ismio::vfio_user
