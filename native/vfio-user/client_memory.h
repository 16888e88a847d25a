// Memory of a client that came with a descriptor.
#pragma once

#include <cstdint>

#include "device/dma.h"
#include "vfio-user/wire.h"

namespace ismio::vfio_user {

// Maps what `asked` names of the file; `mapping` holds it. 0 or an errno: EINVAL where the file ends before that. The
// descriptor stays the caller's, and is not needed any more. `kept`: the mapping has one of its own, where it is memory
// (of tmpfs, which a memfd is) from the start of its file on: of no other file a mapping can be touched without
// waiting.
int32_t mapClientMemory(int descriptor, const DmaMapRequest& asked, bool kept, device::DmaMap::Mapping& mapping);

}  // namespace ismio::vfio_user
