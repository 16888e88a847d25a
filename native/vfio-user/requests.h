// What a server answers by itself, one request after the other: what the function is, DMA maps, interrupts.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "device/function.h"
#include "vfio-user/capabilities.h"
#include "vfio-user/channel.h"
#include "vfio-user/far_memory.h"

namespace ismio::vfio_user {

struct Reply {
  std::vector<uint8_t> payload;
  int descriptor = -1;  // goes beside it, and stays ours
  Descriptors given;    // the same, but closed behind it
};

class Requests {
 public:
  Requests(std::shared_ptr<device::Function> function, uint64_t maxDmaMaps)
      : function_(std::move(function)), maxDmaMaps_(maxDmaMaps) {}

  // What the client said of itself.
  void negotiated(const Capabilities& client, std::shared_ptr<FarMemory> far);

  // 0 and a reply, or an errno. Descriptors that are of no use are left in the message.
  int32_t answer(Message& message, Reply& reply);

 private:
  int32_t dmaMap(Message& message);
  int32_t dmaUnmap(const Message& message, Reply& reply);
  int32_t setIrqs(Message& message);
  int32_t deviceInfo(const Message& message, Reply& reply) const;
  int32_t regionInfo(const Message& message, Reply& reply) const;
  int32_t regionFiles(const Message& message, Reply& reply) const;
  int32_t irqInfo(const Message& message, Reply& reply) const;
  static int32_t feature(const Message& message);
  int32_t lane(const Message& message, Reply& reply) const;

  const std::shared_ptr<device::Function> function_;
  const uint64_t maxDmaMaps_;
  uint64_t mapped_ = 0;  // bytes
  uint64_t clientFds_ = 0;
  std::shared_ptr<FarMemory> far_;
};

// The struct that a payload begins with; false where it is shorter.
template <class Struct>
bool structOf(const Message& message, Struct& read) {
  if (message.payload.size() < sizeof read) return false;
  memcpy(&read, message.payload.data(), sizeof read);
  return true;
}

template <class Struct>
void putStruct(Reply& reply, const Struct& told) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&told);
  reply.payload.insert(reply.payload.end(), bytes, bytes + sizeof told);
}

}  // namespace ismio::vfio_user
