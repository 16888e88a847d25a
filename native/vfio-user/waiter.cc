#include "vfio-user/waiter.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ismio::vfio_user {
namespace {

// The largest errno that Linux has (include/linux/err.h, MAX_ERRNO). The field is optional in a reply with an error
// (vfio-user.rst, "Header").
constexpr uint32_t kMostErrno = 4095;

int32_t errorOf(const Header& header) {
  if ((header.flags & kError) == 0) return 0;
  if (header.error > kMostErrno) return EPROTO;
  return header.error == 0 ? EIO : static_cast<int32_t>(header.error);
}

}  // namespace

bool Waiter::take(Message& message) {
  const uint32_t index = static_cast<uint16_t>(message.header.id - first_);
  const uint64_t bit = uint64_t{1} << index;
  if (message.header.command != command_ || (answered_ & bit) != 0) return false;
  answered_ |= bit;
  int32_t error = errorOf(message.header);
  if (error == 0) error = reply_ == nullptr ? written(message, index) : taken(message, *reply_);
  if (error != 0) fail(index, error);
  if (--left_ == 0) done_.store(true, std::memory_order_release);
  return true;
}

int32_t Waiter::taken(Message& message, Reply& reply) {
  const std::span<const uint8_t> payload = message.payload;
  if (payload.size() > reply.head.size() + reply.body.size()) return EPROTO;
  const size_t before = std::min(payload.size(), reply.head.size());
  std::ranges::copy(payload.first(before), reply.head.begin());
  std::ranges::copy(payload.subspan(before), reply.body.begin());
  reply.length = payload.size();
  reply.descriptors = std::move(message.descriptors);
  return 0;
}

// The server says again what was written. Less than all of it is what a device does that refuses the rest.
int32_t Waiter::written(const Message& message, uint32_t index) const {
  RegionAccess told{};
  if (message.payload.size() != sizeof told) return EPROTO;
  memcpy(&told, message.payload.data(), sizeof told);
  const Block& block = blocks_[index];
  if (told.region != region_ || told.offset != block.offset || told.count > block.length) return EPROTO;
  return told.count == block.length ? 0 : EIO;
}

void Waiter::fail(uint32_t index, int32_t error) {
  if (index >= failed_) return;
  failed_ = index;
  error_ = error;
}

void Waiter::lose() {
  if (done()) return;
  for (uint32_t index = 0; index < count_; index++) {
    if ((answered_ & uint64_t{1} << index) == 0) fail(index, ENODEV);
  }
  done_.store(true, std::memory_order_release);
}

}  // namespace ismio::vfio_user
