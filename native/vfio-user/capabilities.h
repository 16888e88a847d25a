// What both ends tell each other behind the version: a text of JSON that ends in a NUL.
//
//     {"capabilities": {"max_msg_fds": 16, "max_data_xfer_size": 1048576, "max_dma_maps": 65535, "pgsizes": 4096}}
//
// Everything of it may be left out (vfio-user.rst, "Version"), and names that are not known are passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vfio-user/wire.h"

namespace ismio::vfio_user {

struct Capabilities {
  uint64_t maxMessageFds = kDefaultMaxMessageFds;
  uint64_t maxTransfer = kDefaultMaxTransfer;
  uint64_t maxDmaMaps = kDefaultMaxDmaMaps;
  bool writeMultiple = false;
};

// False where `text` is no JSON object, or gives a capability a value that it cannot have. Without the NUL.
bool readCapabilities(std::string_view text, Capabilities& told);

// With the NUL.
std::string textOf(const Capabilities& told);

}  // namespace ismio::vfio_user
