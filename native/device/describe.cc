#include "device/describe.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/vfio.h>

namespace ismio::device {
namespace {

// What is longer than the room is left out, and `argsz` says how long all of it is.
int64_t put(const void* said, size_t length, uint64_t whole, uint8_t* into, size_t room) {
  memcpy(into, said, std::min(length, room));
  return static_cast<int64_t>(whole);
}

uint64_t sizeOf(const Function& function, uint32_t index) {
  if (index == VFIO_PCI_CONFIG_REGION_INDEX) return function.configSize;
  return index < kBars ? function.bars[index].size : 0;
}

}  // namespace

int64_t deviceInfo(const Function&, uint8_t* into, size_t room) {
  vfio_device_info info{};
  // The field of capabilities came later (Linux 6.0), and is not used.
  constexpr size_t kLength = offsetof(vfio_device_info, num_irqs) + sizeof info.num_irqs;
  info.argsz = kLength;
  info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
  info.num_regions = VFIO_PCI_NUM_REGIONS;
  info.num_irqs = kIrqs;
  return put(&info, kLength, kLength, into, room);
}

int64_t regionInfo(const Function& function, uint32_t index, bool mappable, uint8_t* into, size_t room) {
  if (index >= VFIO_PCI_NUM_REGIONS) return -EINVAL;
  vfio_region_info info{};
  info.index = index;
  info.size = sizeOf(function, index);
  info.flags = info.size == 0 ? 0 : VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
  // Where it begins in the device's file, as vfio-pci has it; messages have the index beside.
  info.offset = static_cast<uint64_t>(index) << 40;
  info.argsz = sizeof info;
  const bool areas = mappable && index < kBars && !function.bars[index].areas.empty();
  if (!areas) return put(&info, sizeof info, sizeof info, into, room);
  const std::vector<Area>& list = function.bars[index].areas;
  info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
  info.offset = 0;
  const bool all = list.size() == 1 && list.front().length == info.size;
  if (all) return put(&info, sizeof info, sizeof info, into, room);
  const size_t length = sizeof(vfio_region_info_cap_sparse_mmap) + list.size() * sizeof(vfio_region_sparse_mmap_area);
  const size_t whole = sizeof info + length;
  info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
  info.argsz = static_cast<uint32_t>(whole);
  info.cap_offset = room >= whole ? sizeof info : 0;
  put(&info, sizeof info, whole, into, room);
  if (room < whole) return static_cast<int64_t>(whole);
  vfio_region_info_cap_sparse_mmap header{};
  header.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
  header.header.version = 1;
  header.nr_areas = static_cast<uint32_t>(list.size());
  uint8_t* at = into + sizeof info;
  memcpy(at, &header, sizeof header);
  at += sizeof header;
  for (const Area& area : list) {
    const vfio_region_sparse_mmap_area told{area.offset, area.length};
    memcpy(at, &told, sizeof told);
    at += sizeof told;
  }
  return static_cast<int64_t>(whole);
}

int64_t irqInfo(const Function& function, uint32_t index, uint8_t* into, size_t room) {
  if (index >= kIrqs) return -EINVAL;
  vfio_irq_info info{};
  info.argsz = sizeof info;
  info.index = index;
  info.count = function.interrupts.count(index);
  if (info.count > 0) {
    info.flags = VFIO_IRQ_INFO_EVENTFD;
    if (index == VFIO_PCI_INTX_IRQ_INDEX) info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
  }
  return put(&info, sizeof info, sizeof info, into, room);
}

}  // namespace ismio::device
