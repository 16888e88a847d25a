// What the kernel's VFIO and iommufd interfaces have that <linux/vfio.h> of an older system lacks, so that the addon
// builds there and runs on newer kernels.
//
// Sources: Linux include/uapi/linux/vfio.h (features since 5.7, device cdev since 6.6, zPCI errors since 7.3) and
// include/uapi/linux/iommufd.h (since 6.2).
#pragma once

#include <cstdint>
#include <linux/vfio.h>
#include <sys/ioctl.h>

namespace ismio::vfio::abi {

inline constexpr unsigned long kDeviceFeature = _IO(VFIO_TYPE, VFIO_BASE + 17);
inline constexpr uint32_t kFeatureGet = 1u << 16;
inline constexpr uint32_t kFeatureProbe = 1u << 18;
inline constexpr uint32_t kFeatureZpciError = 13;
struct ProbeFeature {
  uint32_t argsz;
  uint32_t flags;
};
struct GetZpciError {
  uint32_t argsz;
  uint32_t flags;
  uint64_t data;  // address of as many bytes as the capability ZPCI_BASE says
};

inline constexpr unsigned long kBindIommufd = _IO(VFIO_TYPE, VFIO_BASE + 18);
struct BindIommufd {
  uint32_t argsz;
  uint32_t flags;
  int32_t iommufd;
  uint32_t deviceId;  // answered
};

inline constexpr unsigned long kAttachIommufdPt = _IO(VFIO_TYPE, VFIO_BASE + 19);
struct AttachIommufdPt {
  uint32_t argsz;
  uint32_t flags;
  uint32_t ptId;
};

inline constexpr unsigned kIommufdType = ';';

inline constexpr unsigned long kIoasAlloc = _IO(kIommufdType, 0x81);
struct IoasAlloc {
  uint32_t size;
  uint32_t flags;
  uint32_t ioasId;  // answered
};

inline constexpr unsigned long kIoasIovaRanges = _IO(kIommufdType, 0x84);
struct IovaRange {
  uint64_t start;
  uint64_t last;
};
struct IoasIovaRanges {
  uint32_t size;
  uint32_t ioasId;
  uint32_t ranges;  // room for; answered: how many there are
  uint32_t reserved;
  uint64_t allowed;    // address of IovaRange[]
  uint64_t alignment;  // answered
};

inline constexpr unsigned long kIoasMap = _IO(kIommufdType, 0x85);
inline constexpr uint32_t kIoasFixedIova = 1u << 0;
inline constexpr uint32_t kIoasWritable = 1u << 1;
inline constexpr uint32_t kIoasReadable = 1u << 2;
struct IoasMap {
  uint32_t size;
  uint32_t flags;
  uint32_t ioasId;
  uint32_t reserved;
  uint64_t address;
  uint64_t length;
  uint64_t iova;
};

inline constexpr unsigned long kIoasUnmap = _IO(kIommufdType, 0x86);
struct IoasUnmap {
  uint32_t size;
  uint32_t ioasId;
  uint64_t iova;
  uint64_t length;  // answered: how much was unmapped
};

}  // namespace ismio::vfio::abi
