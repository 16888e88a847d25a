#include "vfio-user/server.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace ismio::vfio_user {
namespace {

using Clock = Session::Clock;

// Whoever is turned away and says nothing is closed after that long, and so is the oldest of more than so many.
constexpr std::chrono::milliseconds kTurningAway{1000};
constexpr size_t kMostTurnedAway = 16;
// A process without descriptors to spare tries again that much later.
constexpr std::chrono::milliseconds kTroubleLasts{100};

int millisecondsUntil(std::optional<Clock::time_point> when) {
  if (!when.has_value()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*when - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

void sooner(std::optional<Clock::time_point>& first, std::optional<Clock::time_point> other) {
  if (other.has_value()) first = std::min(first.value_or(*other), *other);
}

}  // namespace

std::unique_ptr<Server> Server::start(std::shared_ptr<device::Function> function, std::unique_ptr<Listener> listener,
                                      uint64_t maxDmaMaps, Common::Told told, Problem& problem) {
  std::unique_ptr<Server> server(new Server(std::move(function), std::move(listener), maxDmaMaps, std::move(told)));
  if (!server->common_->ready()) {
    problem = {"eventfd", EMFILE};
    return nullptr;
  }
  const auto entry = [](void* self) -> void* {
    static_cast<Server*>(self)->serve();
    return nullptr;
  };
  const int refused = pthread_create(&server->thread_, nullptr, entry, server.get());
  server->started_ = refused == 0;
  if (refused == 0) return server;
  problem = {"pthread_create", refused};
  return nullptr;
}

Server::Server(std::shared_ptr<device::Function> function, std::unique_ptr<Listener> listener, uint64_t maxDmaMaps,
               Common::Told told)
    : function_(std::move(function)),
      listener_(std::move(listener)),
      maxDmaMaps_(maxDmaMaps),
      common_(std::make_shared<Common>(std::move(told))) {}

Server::~Server() {
  listener_->unlink();
  if (started_) {
    ending_ = true;
    common_->wake();
    pthread_join(thread_, nullptr);
  }
  common_->end();
}

void Server::serve() {
  while (!ending_) {
    wait();
    if (polled_[0].revents != 0) common_->woken();
    if (session_ != nullptr && !session_->serve(polled_[2].revents)) letGo();
    size_t place = 3;
    for (TurnedAway& one : turnedAway_) refuse(one, polled_[place++].revents != 0);
    std::erase_if(turnedAway_, [](const TurnedAway& one) { return one.socket < 0; });
    if (polled_[1].revents != 0 && !common_->departing) accept();
  }
  if (session_ != nullptr) letGo();
  for (const TurnedAway& one : turnedAway_) close(one.socket);
}

// Until something comes: the wake, a new client, the client, those that are turned away.
void Server::wait() {
  const bool troubled = acceptsFrom_.has_value() && *acceptsFrom_ > Clock::now();
  const bool accepts = !troubled && !common_->departing;
  polled_.clear();
  polled_.push_back({common_->wakeDescriptor(), POLLIN, 0});
  polled_.push_back({accepts ? listener_->socket() : -1, POLLIN, 0});
  polled_.push_back({-1, 0, 0});
  if (session_ != nullptr) polled_.back() = {session_->socket(), session_->events(), 0};
  for (const TurnedAway& one : turnedAway_) polled_.push_back({one.socket, POLLIN, 0});
  if (poll(polled_.data(), polled_.size(), millisecondsUntil(due())) >= 0) return;
  for (pollfd& one : polled_) one.revents = 0;  // a signal's handler came between
}

std::optional<Clock::time_point> Server::due() const {
  std::optional<Clock::time_point> first;
  if (session_ != nullptr) first = session_->due();
  for (const TurnedAway& one : turnedAway_) sooner(first, one.until);
  if (acceptsFrom_.has_value() && *acceptsFrom_ > Clock::now()) sooner(first, acceptsFrom_);
  return first;
}

void Server::accept() {
  const int socket = accept4(listener_->socket(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket >= 0) {
    acceptsFrom_.reset();
    return session_ == nullptr && !function_->taken.exchange(true) ? take(socket) : turnAway(socket);
  }
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
  if (!acceptsFrom_.has_value()) common_->tell({Happening::trouble, errno});
  acceptsFrom_ = Clock::now() + kTroubleLasts;
}

void Server::take(int socket) {
  ucred who{};
  socklen_t length = sizeof who;
  Event event{Happening::client};
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0) {
    event.process = who.pid;
    event.user = who.uid;
    event.group = who.gid;
  }
  session_ = std::make_shared<Session>(socket, function_, common_, maxDmaMaps_);
  common_->counts.clients++;
  common_->tell(event);
}

void Server::letGo() {
  session_->end();
  session_.reset();
  common_->tell({Happening::gone});
}

void Server::turnAway(int socket) {
  common_->counts.turnedAway++;
  if (turnedAway_.size() == kMostTurnedAway) {
    close(turnedAway_.front().socket);
    turnedAway_.pop_front();
  }
  turnedAway_.push_back({socket, {}, Clock::now() + kTurningAway});
}

void Server::refuse(TurnedAway& one, bool readable) {
  Message message;
  const Got got = readable ? one.reader.next(one.socket, message) : Got::nothing;
  if (got == Got::nothing && Clock::now() < one.until) return;
  if (got == Got::message && (message.header.flags & kNoReply) == 0) {
    const Header header = replyTo(message.header, EBUSY, sizeof header);
    sendParts(one.socket, header, {}, {});  // its socket is empty, so it takes that; else it is closed without
  }
  close(std::exchange(one.socket, -1));
}

}  // namespace ismio::vfio_user
