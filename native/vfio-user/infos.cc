// What the function is, in the structs of <linux/vfio.h>. A reply is never longer than the client's argsz; where that
// is too short for all, the reply has the fixed part, and says in its argsz what all of it would take.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/vfio.h>

#include "device/describe.h"
#include "vfio-user/requests.h"

namespace ismio::vfio_user {
namespace {

constexpr size_t kDeviceInfo = offsetof(vfio_device_info, num_irqs) + sizeof(uint32_t);

// What <linux/vfio.h> says that its structs begin with.
struct Asked {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
};

// False where the payload is not what a question of this struct has.
bool question(const Message& message, size_t least, Asked& asked) {
  return message.payload.size() >= least && structOf(message, asked) && asked.argsz >= least &&
         message.descriptors.size() == 0;
}

template <class Describe>
int32_t described(const Asked& asked, size_t least, Reply& reply, Describe describe) {
  reply.payload.resize(static_cast<size_t>(std::min<uint64_t>(asked.argsz, kMaxTransfer)));
  const int64_t whole = describe(reply.payload.data(), reply.payload.size());
  if (whole < 0) {
    reply.payload.clear();
    return static_cast<int32_t>(-whole);
  }
  const auto length = static_cast<size_t>(whole);
  reply.payload.resize(length <= reply.payload.size() ? length : least);
  const auto argsz = static_cast<uint32_t>(whole);
  memcpy(reply.payload.data(), &argsz, sizeof argsz);
  return 0;
}

// A client maps each area at the region's offset in the file plus the area's own offset, modulo 2^64. So the areas of a
// region can be mapped where they lie in one file, all by the same distance from where they are in the region.
const device::Area* mappableBy(const device::Bar& bar) {
  if (bar.areas.empty()) return nullptr;
  const device::Area& first = bar.areas.front();
  if (first.memory->descriptor() < 0) return nullptr;
  const auto alike = [&](const device::Area& area) {
    return area.memory == first.memory && area.position - area.offset == first.position - first.offset;
  };
  return std::ranges::all_of(bar.areas, alike) ? &first : nullptr;
}

}  // namespace

int32_t Requests::deviceInfo(const Message& message, Reply& reply) const {
  Asked asked{};
  if (!question(message, kDeviceInfo, asked)) return EINVAL;
  return described(asked, kDeviceInfo, reply,
                   [&](uint8_t* into, size_t room) { return device::deviceInfo(*function_, into, room); });
}

// Asked without room for the areas, QEMU wants a flag of capabilities only where it can follow it.
int32_t Requests::regionInfo(const Message& message, Reply& reply) const {
  Asked asked{};
  vfio_region_info told{};
  if (!question(message, sizeof told, asked)) return EINVAL;
  const bool bar = asked.index < device::kBars;
  const device::Area* area = bar && clientFds_ > 0 ? mappableBy(function_->bars[asked.index]) : nullptr;
  const int32_t refused = described(asked, sizeof told, reply, [&](uint8_t* into, size_t room) {
    return device::regionInfo(*function_, asked.index, area != nullptr, into, room);
  });
  if (refused != 0) return refused;
  memcpy(&told, reply.payload.data(), sizeof told);
  if (told.argsz > reply.payload.size()) {
    told.flags &= ~VFIO_REGION_INFO_FLAG_CAPS;
    told.cap_offset = 0;
  }
  if (area != nullptr) {
    told.offset = area->position - area->offset;
    reply.descriptor = area->memory->descriptor();
  }
  memcpy(reply.payload.data(), &told, sizeof told);
  return 0;
}

// There are none: an access that no memory answers is a message.
int32_t Requests::regionFiles(const Message& message, Reply& reply) const {
  struct {
    uint32_t argsz;
    uint32_t flags;
    uint32_t index;
    uint32_t count;
  } told{};
  Asked asked{};
  if (!question(message, sizeof told, asked) || asked.flags != 0) return EINVAL;
  if (asked.index >= VFIO_PCI_NUM_REGIONS) return EINVAL;
  told.argsz = sizeof told;
  told.index = asked.index;
  putStruct(reply, told);
  return 0;
}

int32_t Requests::irqInfo(const Message& message, Reply& reply) const {
  Asked asked{};
  vfio_irq_info told{};
  if (!question(message, sizeof told, asked)) return EINVAL;
  // The index is behind argsz and flags in both structs.
  return described(asked, sizeof told, reply,
                   [&](uint8_t* into, size_t room) { return device::irqInfo(*function_, asked.index, into, room); });
}

}  // namespace ismio::vfio_user
