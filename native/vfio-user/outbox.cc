#include "vfio-user/outbox.h"

#include <cerrno>
#include <fcntl.h>
#include <utility>

namespace ismio::vfio_user {
namespace {

// A peer that asks for more than this and does not read what it is sent is let go of.
constexpr size_t kMostKept = 64 << 20;

}  // namespace

bool Outbox::send(const Header& header, Parts parts, std::span<const int> descriptors) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  if (!packets_.empty()) return keep(header, parts, 0, descriptors);
  const int64_t sent = sendParts(socket_, header, parts, descriptors);
  if (sent == header.size) return true;
  if (sent >= 0) return keep(header, parts, static_cast<size_t>(sent), {});  // they went with the first byte
  return sent == -EAGAIN ? keep(header, parts, 0, descriptors) : fail();
}

bool Outbox::send(std::span<const uint8_t> messages) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  const int64_t sent = packets_.empty() ? sendBytes(socket_, messages, {}) : 0;
  if (sent == static_cast<int64_t>(messages.size())) return true;
  if (sent < 0 && sent != -EAGAIN) return fail();
  Packet packet;
  packet.bytes.assign(messages.begin(), messages.end());
  packet.sent = sent < 0 ? 0 : static_cast<size_t>(sent);
  return keep(std::move(packet));
}

bool Outbox::keep(const Header& header, Parts parts, size_t sent, std::span<const int> descriptors) {
  Packet packet;
  const auto* first = reinterpret_cast<const uint8_t*>(&header);
  packet.bytes.reserve(header.size);
  packet.bytes.assign(first, first + sizeof header);
  for (const std::span<const uint8_t>& part : parts) packet.bytes.insert(packet.bytes.end(), part.begin(), part.end());
  packet.sent = sent;
  for (const int descriptor : descriptors) {
    const int kept = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (kept < 0) return fail();
    packet.descriptors.add(kept);
  }
  return keep(std::move(packet));
}

bool Outbox::keep(Packet packet) {
  kept_ += packet.bytes.size() - packet.sent;
  packets_.push_back(std::move(packet));
  if (kept() > kMostKept) return fail();
  common_->wake();
  return true;
}

bool Outbox::flush() {
  const std::lock_guard lock(mutex_);
  while (!ended_ && !packets_.empty()) {
    const size_t before = kept();
    if (!sendFirst()) return fail();
    if (kept() == before) return true;  // it takes no more now
  }
  return !ended_;
}

bool Outbox::sendFirst() {
  Packet& packet = packets_.front();
  const size_t left = packet.bytes.size() - packet.sent;
  std::vector<int> descriptors;
  if (packet.sent == 0) descriptors = packet.descriptors.numbers();
  const int64_t sent = sendBytes(socket_, std::span(packet.bytes).subspan(packet.sent), descriptors);
  if (sent == -EAGAIN) return true;
  if (sent < 0) return false;
  kept_ -= static_cast<size_t>(sent);
  packet.sent += static_cast<size_t>(sent);
  if (static_cast<size_t>(sent) == left) packets_.pop_front();
  return true;
}

bool Outbox::fail() {
  ended_ = true;
  packets_.clear();
  kept_ = 0;
  common_->wake();
  return false;
}

void Outbox::end() {
  const std::lock_guard lock(mutex_);
  fail();
}

}  // namespace ismio::vfio_user
