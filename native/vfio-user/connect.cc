// How a connection begins and ends.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include "support/pause.h"
#include "vfio-user/awaiting.h"
#include "vfio-user/connection.h"

namespace ismio::vfio_user {
namespace {

// For a batch of store blocks to go out in one call: the system has its own limit below this (net.core.wmem_max).
constexpr int kSendBuffer = 1 << 20;
// How long a read waits, and a call that sends. The system's clock of timeouts ticks every 1 to 10 ms.
constexpr timeval kTurn{0, 1000};
// Between two tries to connect to a server whose queue of connections is full, in nanoseconds.
constexpr double kRetry = 1e6;

// 0 or an errno. A socket that does not block answers EAGAIN while the queue is full.
int connectTo(int socket, const sockaddr_un& address, Clock::time_point until) {
  while (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN && errno != EINTR) return errno;
    if (Clock::now() >= until) return ETIMEDOUT;
    pauseFor(kRetry);
  }
  return 0;
}

}  // namespace

std::shared_ptr<Connection> Connection::open(const std::string& path, Options options, Problem& problem) {
  const auto refuse = [&problem](const char* call, int errorNumber) {
    problem = {call, errorNumber};
    return nullptr;
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return refuse("connect", ENAMETOOLONG);
  std::ranges::copy(path, address.sun_path);
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) return refuse("socket", errno);
  const auto within = options.within;
  std::shared_ptr<Connection> connection(new Connection(made, std::move(options)));
  // A name that the system chooses (unix(7), "Autobind feature"). Without one it is only noticed later where this
  // thread waits for itself.
  const sa_family_t family = AF_UNIX;
  if (bind(made, reinterpret_cast<const sockaddr*>(&family), sizeof family) == 0) connection->name_ = nameOf(made);
  if (const int refused = connectTo(made, address, Clock::now() + within); refused != 0) {
    return refuse("connect", refused);
  }
  if (fcntl(made, F_SETFL, 0) != 0) return refuse("fcntl", errno);
  // Whoever reads or sends looks so often whether something else has come up.
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (setsockopt(made, SOL_SOCKET, option, &kTurn, sizeof kTurn) != 0) return refuse("setsockopt", errno);
  }
  setsockopt(made, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);  // with less it is only slower
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(made, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return refuse("getsockopt", errno);
  connection->peer_ = {peer.pid, peer.uid};
  if (const int refused = connection->start(connection); refused != 0) return refuse("pthread_create", refused);
  return connection;
}

// The thread holds the connection until that is closed: whoever lets go of it last may be the thread itself.
int Connection::start(const std::shared_ptr<Connection>& self) {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) return errno;
  auto held = std::make_unique<std::shared_ptr<Connection>>(self);
  const auto entry = [](void* given) -> void* {
    const std::unique_ptr<std::shared_ptr<Connection>> connection(static_cast<std::shared_ptr<Connection>*>(given));
    (*connection)->watch();
    return nullptr;
  };
  pthread_t thread;
  const int refused = pthread_create(&thread, nullptr, entry, held.get());
  if (refused != 0) return refused;
  static_cast<void>(held.release());  // the thread's
  thread_ = thread;
  return 0;
}

void Connection::close() {
  std::optional<pthread_t> thread;
  {
    const std::lock_guard lock(toldMutex_);
    told_ = nullptr;
    thread = std::exchange(thread_, std::nullopt);
  }
  lose(Lost::closed);
  if (thread.has_value()) pthread_join(*thread, nullptr);
}

Connection::~Connection() {
  if (wake_ >= 0) ::close(wake_);
  ::close(socket_);
}

}  // namespace ismio::vfio_user
