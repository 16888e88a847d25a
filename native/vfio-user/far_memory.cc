#include "vfio-user/far_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "device/function.h"

namespace ismio::vfio_user {
namespace {

// No errno of Linux is larger (MAX_ERRNO of include/linux/err.h).
constexpr uint32_t kLargestErrno = 4095;
// More messages than this are never under way at once: an id is free as soon as its call has ended.
constexpr size_t kMostCalls = 1024;

}  // namespace

int32_t FarMemory::read(uint64_t address, uint8_t* target, uint64_t length) {
  const Until until = std::chrono::steady_clock::now() + device::kAnswerWithin;
  for (uint64_t done = 0; done < length;) {
    const uint64_t step = std::min(length - done, most_);
    Call call{Command::dmaRead, {address + done, step}, target + done};
    if (const int32_t error = ask(call, nullptr, until); error != 0) return error;
    done += step;
  }
  return 0;
}

int32_t FarMemory::write(uint64_t address, const uint8_t* source, uint64_t length) {
  const Until until = std::chrono::steady_clock::now() + device::kAnswerWithin;
  for (uint64_t done = 0; done < length;) {
    const uint64_t step = std::min(length - done, most_);
    Call call{Command::dmaWrite, {address + done, step}, nullptr};
    if (const int32_t error = ask(call, source + done, until); error != 0) return error;
    done += step;
  }
  return 0;
}

int32_t FarMemory::ask(Call& call, const uint8_t* source, Until until) {
  std::unique_lock lock(mutex_);
  if (ended_) return ENODEV;
  if (calls_.size() >= kMostCalls) return EBUSY;
  do lastId_++;
  while (calls_.contains(lastId_));
  const uint16_t id = lastId_;
  calls_.emplace(id, &call);
  lock.unlock();
  const size_t body = source == nullptr ? 0 : static_cast<size_t>(call.access.count);
  const Header header{id, call.command, static_cast<uint32_t>(sizeof header + sizeof call.access + body), 0, 0};
  const std::span<const uint8_t> parts[] = {{reinterpret_cast<const uint8_t*>(&call.access), sizeof call.access},
                                            {source, body}};
  const bool sent = outbox_->send(header, parts);
  lock.lock();
  if (sent) answered_.wait_until(lock, until, [&] { return call.answered || ended_; });
  calls_.erase(id);
  if (call.answered) return call.error;
  return sent && !ended_ ? ETIMEDOUT : ENODEV;
}

// The caller's memory is written while its call is in the table, and then only.
bool FarMemory::answer(const Message& reply) {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(reply.header.id);
  if (found == calls_.end() || found->second->answered || found->second->command != reply.header.command) return false;
  found->second->error = settle(*found->second, reply);
  found->second->answered = true;
  answered_.notify_all();
  return true;
}

int32_t FarMemory::settle(Call& call, const Message& reply) {
  if ((reply.header.flags & kError) != 0) {
    const uint32_t error = reply.header.error;
    return error == 0 || error > kLargestErrno ? EIO : static_cast<int32_t>(error);
  }
  if (call.target == nullptr) return 0;  // QEMU answers a write without a body
  DmaAccess told{};
  if (reply.payload.size() != sizeof told + call.access.count) return EPROTO;
  memcpy(&told, reply.payload.data(), sizeof told);
  if (told.address != call.access.address || told.count != call.access.count) return EPROTO;
  memcpy(call.target, reply.payload.data() + sizeof told, static_cast<size_t>(told.count));
  return 0;
}

void FarMemory::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  answered_.notify_all();
}

}  // namespace ismio::vfio_user
