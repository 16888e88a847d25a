// Accesses to a function's regions, as messages ask for them.
#pragma once

#include <cstdint>
#include <vector>

#include "device/function.h"
#include "vfio-user/channel.h"

namespace ismio::vfio_user {

struct Access {
  uint32_t region = 0;
  uint64_t offset = 0;
  uint32_t count = 0;
  const uint8_t* source = nullptr;  // in the message's payload; null: a read
};

// What a message asks for: one access, or those of a write of many. 0; EINVAL where it is not well formed, or reaches
// past the end of its region.
int32_t accessesOf(const Message& message, const device::Function& function, std::vector<Access>& accesses);

// The same for a message that is one access, and has no descriptors.
int32_t accessOf(const Seen& message, const device::Function& function, Access& access);

// Bytes from one place on that are all memory, or all not. `here`: the access needs no JavaScript there.
using Stretch = device::Function::Stretch;
Stretch stretchAt(const device::Function& function, const Access& access, uint32_t done);
bool here(const Stretch& stretch, const Access& access);

// 0, or EIO where the function does not decode memory. Configuration space is always there.
int32_t decoding(const device::Function& function, const Access& access);

// An access of 1, 2, 4 or 8 bytes at a multiple of that is one access on the side of the memory as well.
void loadMemory(uint8_t* target, const uint8_t* memory, uint64_t length);
void storeMemory(uint8_t* memory, const uint8_t* source, uint64_t length);

}  // namespace ismio::vfio_user
