// What the addon asks of the kernel's VFIO: one function per system call or ioctl, named by the kernel's nouns. Nothing
// is remembered and nothing decided here; src/vfio does both.
//
// Every function answers -errno where the kernel refuses, and 0 or more else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ismio::vfio {

using Answer = int64_t;

// Files
Answer open(const char* path);
Answer duplicate(int descriptor);
Answer close(int descriptor);
Answer pread(int descriptor, uint8_t* target, size_t length, uint64_t offset);
Answer pwrite(int descriptor, const uint8_t* source, size_t length, uint64_t offset);
Answer eventfd();

// Container and group (type1)
Answer apiVersion(int container);
Answer checkExtension(int container, uint32_t extension);
Answer setIommu(int container, uint32_t type);
Answer groupStatus(int group);  // VFIO_GROUP_FLAGS_*
Answer groupSetContainer(int group, int container);
Answer groupDevice(int group, const char* name);  // a file descriptor
// Fill `buffer` as far as it goes; answer how long it would have to be for all.
Answer iommuInfo(int container, uint8_t* buffer, size_t length);
Answer mapDma(int container, uint64_t iova, const void* address, uint64_t length, uint32_t flags);
Answer unmapDma(int container, uint64_t iova, uint64_t length);  // how much was unmapped

// Device; the same through a group and as a character device
Answer deviceInfo(int device, uint8_t* buffer, size_t length);
Answer regionInfo(int device, uint32_t index, uint8_t* buffer, size_t length);
Answer irqInfo(int device, uint32_t index, uint8_t* buffer, size_t length);
// `eventfds` (null: none) are `count` descriptors, -1 for a vector that is to have none.
Answer setIrqs(int device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count, const int32_t* eventfds);
Answer resetDevice(int device);
// 0 where the device can be asked for its zPCI errors.
Answer probeZpciError(int device);
// The oldest that is pending, which then is no longer. The kernel writes as many bytes as its capability ZPCI_BASE
// says.
Answer zpciError(int device, uint8_t* buffer);

// Character device and iommufd
Answer bindIommufd(int device, int iommufd);
Answer attachIoas(int device, uint32_t ioas);
Answer allocateIoas(int iommufd);  // an id
// Writes {first, last} pairs; answers how many ranges there are.
Answer iovaRanges(int iommufd, uint32_t ioas, uint64_t* pairs, uint32_t room);
Answer mapIoas(int iommufd, uint32_t ioas, uint64_t iova, const void* address, uint64_t length, uint32_t flags);
Answer unmapIoas(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length);  // how much was unmapped

}  // namespace ismio::vfio
