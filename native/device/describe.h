// What a function says of itself in the structs of <linux/vfio.h>: the same on every road to it.
//
// Each fills `into` as far as whole structs go, and answers how long it would have to be for all, as the kernel does; a
// negative answer is -errno: EINVAL for a region or kind of interrupts that no PCI function has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/function.h"

namespace ismio::device {

int64_t deviceInfo(const Function& function, uint8_t* into, size_t room);
// Areas of shared memory are areas that may be mapped (VFIO_REGION_INFO_CAP_SPARSE_MMAP). `mappable`: whether the
// driver is one that can.
int64_t regionInfo(const Function& function, uint32_t index, bool mappable, uint8_t* into, size_t room);
int64_t irqInfo(const Function& function, uint32_t index, uint8_t* into, size_t room);

}  // namespace ismio::device
