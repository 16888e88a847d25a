#include "vfio-user/requests.h"

#include <cerrno>
#include <linux/vfio.h>
#include <utility>

#include "vfio-user/client_memory.h"

namespace ismio::vfio_user {
namespace {

// As announced with the version.
constexpr uint64_t kPage = 4096;

}  // namespace

void Requests::negotiated(const Capabilities& client, std::shared_ptr<FarMemory> far) {
  clientFds_ = client.maxMessageFds;
  far_ = std::move(far);
}

int32_t Requests::answer(Message& message, Reply& reply) {
  switch (message.header.command) {
    case Command::dmaMap: return dmaMap(message);
    case Command::dmaUnmap: return dmaUnmap(message, reply);
    case Command::deviceGetInfo: return deviceInfo(message, reply);
    case Command::deviceGetRegionInfo: return regionInfo(message, reply);
    case Command::deviceGetRegionIoFds: return regionFiles(message, reply);
    case Command::deviceGetIrqInfo: return irqInfo(message, reply);
    case Command::deviceSetIrqs: return setIrqs(message);
    case Command::deviceFeature: return feature(message);
    case Command::ismLane: return lane(message, reply);
    default: return ENOSYS;
  }
}

int32_t Requests::dmaMap(Message& message) {
  DmaMapRequest asked{};
  if (message.payload.size() != sizeof asked || !structOf(message, asked)) return EINVAL;
  constexpr uint32_t kKnown = kDmaReadable | kDmaWritable;
  if (asked.argsz < sizeof asked || asked.flags == 0 || (asked.flags & ~kKnown) != 0) return EINVAL;
  if (asked.size == 0 || (asked.size | asked.address | asked.offset) % kPage != 0) return EINVAL;
  if (asked.size - 1 > UINT64_MAX - asked.address || message.descriptors.size() > 1) return EINVAL;
  if (function_->dma.mappings() >= maxDmaMaps_) return ENOSPC;
  device::DmaMap::Mapping mapping;
  mapping.length = asked.size;
  mapping.readable = (asked.flags & kDmaReadable) != 0;
  mapping.writable = (asked.flags & kDmaWritable) != 0;
  if (message.descriptors.size() == 0) {
    mapping.far = far_;
  } else if (const int32_t refused = mapClientMemory(message.descriptors.numbers().front(), asked,
                                                     function_->lender() != nullptr, mapping)) {
    return refused;
  }
  const int32_t refused = function_->dma.map(asked.address, std::move(mapping));
  if (refused == 0) mapped_ += asked.size;
  return refused;
}

// What is not mapped is unmapped without a word, 0 bytes of it, as of a type 1 container: QEMU does so at its start.
int32_t Requests::dmaUnmap(const Message& message, Reply& reply) {
  DmaUnmapRequest asked{};
  if (message.payload.size() != sizeof asked || !structOf(message, asked)) return EINVAL;
  if (asked.argsz < sizeof asked || message.descriptors.size() > 0) return EINVAL;
  uint64_t unmapped = 0;
  if (asked.flags == VFIO_DMA_UNMAP_FLAG_ALL) {
    if (asked.address != 0 || asked.size != 0) return EINVAL;
    function_->dma.clear();
    unmapped = mapped_;
  } else {
    if (asked.flags != 0) return EINVAL;
    if (const int32_t refused = function_->dma.unmap(asked.address, asked.size, unmapped)) return refused;
  }
  mapped_ -= unmapped;
  asked.argsz = sizeof asked;
  asked.size = unmapped;
  putStruct(reply, asked);
  return 0;
}

// Eventfds come as descriptors beside the message: one for each vector, or none at all where all of them are to have
// none.
int32_t Requests::setIrqs(Message& message) {
  vfio_irq_set asked{};
  constexpr size_t kFixed = offsetof(vfio_irq_set, data);
  static_assert(kFixed == sizeof asked);
  if (!structOf(message, asked) || asked.argsz < kFixed) return EINVAL;
  if ((asked.flags & ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK)) != 0) return EINVAL;
  const uint32_t vectors = function_->interrupts.count(asked.index);
  if (asked.start > vectors || asked.count > vectors - asked.start) return EINVAL;
  const uint32_t data = asked.flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
  const size_t body = data == VFIO_IRQ_SET_DATA_BOOL ? asked.count : 0;
  if (message.payload.size() != kFixed + body) return EINVAL;
  const size_t came = message.descriptors.size();
  const bool wanted = data == VFIO_IRQ_SET_DATA_EVENTFD;
  if (came != 0 && (!wanted || came != asked.count)) return EINVAL;
  std::vector<int> eventfds;
  if (wanted) eventfds = message.descriptors.takeAll();
  if (wanted) eventfds.resize(asked.count, -1);
  return function_->interrupts.set(asked.index, asked.flags, asked.start, asked.count,
                                   wanted ? eventfds.data() : nullptr,
                                   body > 0 ? message.payload.data() + kFixed : nullptr);
}

// There is none yet that it would have. A migration of what a handler knows is not among VFIO's ways.
int32_t Requests::feature(const Message& message) {
  vfio_device_feature asked{};
  if (!structOf(message, asked) || asked.argsz < sizeof asked || message.descriptors.size() > 0) return EINVAL;
  const bool get = (asked.flags & VFIO_DEVICE_FEATURE_GET) != 0;
  const bool set = (asked.flags & VFIO_DEVICE_FEATURE_SET) != 0;
  const bool probe = (asked.flags & VFIO_DEVICE_FEATURE_PROBE) != 0;
  if (!probe && get == set) return EINVAL;
  return ENOTTY;
}

int32_t Requests::lane(const Message& message, Reply& reply) const {
  LaneRequest asked{};
  device::Engine* lender = function_->lender();
  if (lender == nullptr) return ENOSYS;
  if (message.payload.size() != sizeof asked || !structOf(message, asked)) return EINVAL;
  if (asked.argsz < sizeof(LaneReply) || asked.flags != 0 || message.descriptors.size() > 0) return EINVAL;
  device::Lane made;
  if (clientFds_ < made.descriptors.size()) return EINVAL;
  if (const int32_t refused = lender->lane(asked.token, made)) return refused;
  putStruct(reply, LaneReply{sizeof(LaneReply), 0, made.length, made.index});
  for (int& descriptor : made.descriptors) reply.given.add(std::exchange(descriptor, -1));
  return 0;
}

}  // namespace ismio::vfio_user
