#include "vfio/kernel.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vfio/abi.h"

namespace ismio::vfio {
namespace {

Answer answer(int64_t result) { return result < 0 ? -static_cast<Answer>(errno) : result; }

template <class Argument>
Answer control(int descriptor, unsigned long request, Argument argument) {
  return answer(ioctl(descriptor, request, argument));
}

// The structs that grow: the caller's buffer begins with `argsz`, and says afterwards how long it would have to be.
Answer grown(int descriptor, unsigned long request, uint8_t* buffer, size_t length) {
  auto argsz = static_cast<uint32_t>(length);
  memcpy(buffer, &argsz, sizeof argsz);
  const Answer result = control(descriptor, request, buffer);
  if (result < 0) return result;
  memcpy(&argsz, buffer, sizeof argsz);
  return argsz;
}

}  // namespace

Answer open(const char* path) { return answer(::open(path, O_RDWR | O_CLOEXEC)); }

Answer duplicate(int descriptor) { return answer(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)); }

Answer close(int descriptor) { return answer(::close(descriptor)); }

Answer pread(int descriptor, uint8_t* target, size_t length, uint64_t offset) {
  return answer(::pread(descriptor, target, length, static_cast<off_t>(offset)));
}

Answer pwrite(int descriptor, const uint8_t* source, size_t length, uint64_t offset) {
  return answer(::pwrite(descriptor, source, length, static_cast<off_t>(offset)));
}

Answer eventfd() { return answer(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

Answer apiVersion(int container) { return control(container, VFIO_GET_API_VERSION, 0); }

Answer checkExtension(int container, uint32_t extension) {
  return control(container, VFIO_CHECK_EXTENSION, static_cast<unsigned long>(extension));
}

Answer setIommu(int container, uint32_t type) {
  return control(container, VFIO_SET_IOMMU, static_cast<unsigned long>(type));
}

Answer groupStatus(int group) {
  vfio_group_status status = {};
  status.argsz = sizeof status;
  const Answer result = control(group, VFIO_GROUP_GET_STATUS, &status);
  return result < 0 ? result : status.flags;
}

Answer groupSetContainer(int group, int container) { return control(group, VFIO_GROUP_SET_CONTAINER, &container); }

Answer groupDevice(int group, const char* name) { return control(group, VFIO_GROUP_GET_DEVICE_FD, name); }

Answer iommuInfo(int container, uint8_t* buffer, size_t length) {
  return grown(container, VFIO_IOMMU_GET_INFO, buffer, length);
}

Answer mapDma(int container, uint64_t iova, const void* address, uint64_t length, uint32_t flags) {
  vfio_iommu_type1_dma_map map = {};
  map.argsz = sizeof map;
  map.flags = flags;
  map.vaddr = reinterpret_cast<uintptr_t>(address);
  map.iova = iova;
  map.size = length;
  return control(container, VFIO_IOMMU_MAP_DMA, &map);
}

Answer unmapDma(int container, uint64_t iova, uint64_t length) {
  vfio_iommu_type1_dma_unmap unmap = {};
  unmap.argsz = sizeof unmap;
  unmap.iova = iova;
  unmap.size = length;
  const Answer result = control(container, VFIO_IOMMU_UNMAP_DMA, &unmap);
  return result < 0 ? result : static_cast<Answer>(unmap.size);
}

Answer deviceInfo(int device, uint8_t* buffer, size_t length) {
  return grown(device, VFIO_DEVICE_GET_INFO, buffer, length);
}

Answer regionInfo(int device, uint32_t index, uint8_t* buffer, size_t length) {
  memcpy(buffer + offsetof(vfio_region_info, index), &index, sizeof index);
  return grown(device, VFIO_DEVICE_GET_REGION_INFO, buffer, length);
}

Answer irqInfo(int device, uint32_t index, uint8_t* buffer, size_t length) {
  memcpy(buffer + offsetof(vfio_irq_info, index), &index, sizeof index);
  return grown(device, VFIO_DEVICE_GET_IRQ_INFO, buffer, length);
}

Answer setIrqs(int device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count, const int32_t* eventfds) {
  const size_t data = eventfds == nullptr ? 0 : count * sizeof *eventfds;
  const size_t length = sizeof(vfio_irq_set) + data;
  const std::unique_ptr<void, decltype(&free)> memory(calloc(1, length), free);
  if (memory == nullptr) return -ENOMEM;
  auto* set = static_cast<vfio_irq_set*>(memory.get());
  set->argsz = static_cast<uint32_t>(length);
  set->flags = flags;
  set->index = index;
  set->start = start;
  set->count = count;
  if (data > 0) memcpy(set->data, eventfds, data);
  return control(device, VFIO_DEVICE_SET_IRQS, set);
}

Answer resetDevice(int device) { return control(device, VFIO_DEVICE_RESET, 0); }

Answer probeZpciError(int device) {
  abi::ProbeFeature probe = {sizeof probe, abi::kFeatureProbe | abi::kFeatureGet | abi::kFeatureZpciError};
  return control(device, abi::kDeviceFeature, &probe);
}

Answer zpciError(int device, uint8_t* buffer) {
  abi::GetZpciError get = {sizeof get, abi::kFeatureGet | abi::kFeatureZpciError, reinterpret_cast<uintptr_t>(buffer)};
  return control(device, abi::kDeviceFeature, &get);
}

Answer bindIommufd(int device, int iommufd) {
  abi::BindIommufd bind = {sizeof bind, 0, iommufd, 0};
  return control(device, abi::kBindIommufd, &bind);
}

Answer attachIoas(int device, uint32_t ioas) {
  abi::AttachIommufdPt attach = {sizeof attach, 0, ioas};
  return control(device, abi::kAttachIommufdPt, &attach);
}

Answer allocateIoas(int iommufd) {
  abi::IoasAlloc allocate = {sizeof allocate, 0, 0};
  const Answer result = control(iommufd, abi::kIoasAlloc, &allocate);
  return result < 0 ? result : allocate.ioasId;
}

Answer iovaRanges(int iommufd, uint32_t ioas, uint64_t* pairs, uint32_t room) {
  abi::IoasIovaRanges ranges = {sizeof ranges, ioas, room, 0, reinterpret_cast<uintptr_t>(pairs), 0};
  const Answer result = control(iommufd, abi::kIoasIovaRanges, &ranges);
  // EMSGSIZE: there are more than there is room for; how many, it says all the same.
  return result < 0 && result != -EMSGSIZE ? result : ranges.ranges;
}

Answer mapIoas(int iommufd, uint32_t ioas, uint64_t iova, const void* address, uint64_t length, uint32_t flags) {
  abi::IoasMap map = {sizeof map, flags | abi::kIoasFixedIova, ioas, 0, reinterpret_cast<uintptr_t>(address), length,
                      iova};
  return control(iommufd, abi::kIoasMap, &map);
}

Answer unmapIoas(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length) {
  abi::IoasUnmap unmap = {sizeof unmap, ioas, iova, length};
  const Answer result = control(iommufd, abi::kIoasUnmap, &unmap);
  return result < 0 ? result : static_cast<Answer>(unmap.length);
}

}  // namespace ismio::vfio
