#include "vfio-user/awaiting.h"

#include <atomic>
#include <cstddef>
#include <sys/socket.h>
#include <sys/un.h>

namespace ismio::vfio_user {
namespace {

thread_local const Awaiting* innermost = nullptr;
std::atomic<uint32_t> all{0};

template <int (*call)(int, sockaddr*, socklen_t*)>
std::string named(int socket) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (call(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  constexpr size_t kPath = offsetof(sockaddr_un, sun_path);
  if (length <= kPath || length > sizeof address) return {};
  return {address.sun_path, length - kPath};
}

}  // namespace

std::string nameOf(int socket) { return named<getsockname>(socket); }
std::string peerNameOf(int socket) { return named<getpeername>(socket); }

Awaiting::Awaiting(const std::string& client, uint16_t first, uint16_t count)
    : client_(client), first_(first), count_(count), outer_(innermost), depth_(depth() + 1) {
  innermost = this;
  all++;
}

Awaiting::~Awaiting() {
  innermost = outer_;
  all--;
}

bool Awaiting::anybody() { return all > 0; }

uint32_t Awaiting::depth() { return innermost == nullptr ? 0 : innermost->depth_; }

bool Awaiting::awaits(const std::string& client, uint16_t id, uint32_t deeper) {
  for (const Awaiting* one = innermost; one != nullptr && one->depth_ > deeper; one = one->outer_) {
    const bool among = static_cast<uint16_t>(id - one->first_) < one->count_;
    if (among && !client.empty() && one->client_ == client) return true;
  }
  return false;
}

bool Awaiting::awaitsAny(const std::string& client, uint32_t deeper) {
  for (const Awaiting* one = innermost; one != nullptr && one->depth_ > deeper; one = one->outer_) {
    if (!client.empty() && one->client_ == client) return true;
  }
  return false;
}

}  // namespace ismio::vfio_user
