// What of a session is carried out where it was read: accesses to memory with nothing before them, which most are. They
// are neither copied nor kept.
#include "vfio-user/session.h"

namespace ismio::vfio_user {
namespace {

// A reply of a store is 32 bytes. Each that is sent by itself is a call, and wakes a client that waits for the last of
// them.
constexpr size_t kShort = 256;
constexpr size_t kMostGathered = 16 << 10;

}  // namespace

// Up to the first that has to go the longer way.
void Session::performInPlace() {
  if (far_ == nullptr) return;
  while (const std::optional<Seen> seen = reader_.look()) {
    if (!performInPlace(*seen)) break;
    common_->counts.requests.fetch_add(1, std::memory_order_relaxed);
    reader_.pass(*seen);
  }
  sendGathered();
}

// False: nothing of it was done.
bool Session::performInPlace(const Seen& seen) {
  const bool read = seen.header.command == Command::regionRead;
  if ((!read && seen.header.command != Command::regionWrite) || (seen.header.flags & kTypeMask) != 0) return false;
  if (!waiting_.empty() || outbox_->kept() >= kMostUnread || laneBusy()) return false;
  Access access;
  if (accessOf(seen, *function_, access) != 0 || decoding(*function_, access) != 0) return false;
  const Stretch stretch = stretchAt(*function_, access, 0);
  if (access.count == 0 || !here(stretch, access) || stretch.length != access.count) return false;
  int32_t refused = 0;
  reply_.payload.clear();
  putStruct(reply_, RegionAccess{access.offset, access.region, access.count});
  if (read) {
    reply_.payload.resize(sizeof(RegionAccess) + access.count);
    loadMemory(reply_.payload.data() + sizeof(RegionAccess), stretch.memory, access.count);
  } else if (stretch.memory != nullptr) {
    storeMemory(stretch.memory, access.source, access.count);
  } else {
    uint8_t status = 0;
    refused = stretch.engine->store(access.offset, access.source, access.count, status);
  }
  std::atomic<uint64_t>& bytes = read ? common_->counts.bytesRead : common_->counts.bytesWritten;
  if (refused == 0) bytes.fetch_add(access.count, std::memory_order_relaxed);
  answerInPlace(seen.header, refused);
  return true;
}

void Session::answerInPlace(const Header& to, int32_t error) {
  const size_t size = sizeof(Header) + (error == 0 ? reply_.payload.size() : 0);
  if ((to.flags & kNoReply) != 0 || size > kShort) {
    sendGathered();
    answer(to, error, reply_);
    return;
  }
  const Header header = replyTo(to, error, size);
  const auto* first = reinterpret_cast<const uint8_t*>(&header);
  gathered_.insert(gathered_.end(), first, first + sizeof header);
  if (error == 0) gathered_.insert(gathered_.end(), reply_.payload.begin(), reply_.payload.end());
  if (gathered_.size() >= kMostGathered) sendGathered();
}

void Session::sendGathered() {
  if (gathered_.empty()) return;
  outbox_->send(gathered_);
  gathered_.clear();
}

}  // namespace ismio::vfio_user
