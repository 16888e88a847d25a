#include "device/engine.h"

#include <cerrno>

namespace ismio::device {

int32_t Engine::lane(uint64_t, Lane&) { return ENOTTY; }

}  // namespace ismio::device
