#include "vfio-user/asked.h"

#include <cerrno>
#include <cstring>
#include <vector>

#include "vfio-user/channel.h"

namespace ismio::vfio_user {
namespace {

// The reply to a command; 0 or an errno. `access`: what a reply to an access begins with; `bytes` stay empty but for a
// read.
int32_t accessed(const Message& message, device::DmaMap& dma, DmaAccess& access, std::vector<uint8_t>& bytes) {
  const bool reading = message.header.command == Command::dmaRead;
  if (!reading && message.header.command != Command::dmaWrite) return ENOSYS;
  if (message.payload.size() < sizeof access) return EINVAL;
  memcpy(&access, message.payload.data(), sizeof access);
  const uint64_t given = message.payload.size() - sizeof access;
  if (access.count > kMaxTransfer || given != (reading ? 0 : access.count)) return EINVAL;
  if (!reading) return dma.write(access.address, message.payload.data() + sizeof access, access.count);
  bytes.resize(access.count);
  return dma.read(access.address, bytes.data(), access.count);
}

}  // namespace

Sent answerAsked(const Message& message, device::DmaMap& dma, Outlet& outlet, std::chrono::milliseconds within) {
  DmaAccess access{};
  std::vector<uint8_t> bytes;
  const int32_t error = accessed(message, dma, access, bytes);
  if ((message.header.flags & kNoReply) != 0) return {};
  const size_t size = error == 0 ? sizeof(Header) + sizeof access + bytes.size() : sizeof(Header);
  Header header{message.header.id, message.header.command, static_cast<uint32_t>(size), kReply, 0};
  if (error != 0) {
    header.flags |= kError;
    header.error = static_cast<uint32_t>(error);
  }
  iovec pieces[] = {{&header, sizeof header}, {&access, sizeof access}, {bytes.data(), bytes.size()}};
  // The reader of the socket waits for nobody's desk: whatever that served might wait for the reader.
  Patience alone(nullptr);
  return outlet.send(std::span(pieces).first(error == 0 ? 3 : 1), {}, within, alone);
}

}  // namespace ismio::vfio_user
