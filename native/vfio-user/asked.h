// What a server asks its client: reads and writes of memory by bus address.
#pragma once

#include "device/dma.h"
#include "vfio-user/outlet.h"

namespace ismio::vfio_user {

struct Message;

// Answers a command of the server, unless it wants no reply. What is no read or write of memory, and what is none that
// can be, is answered with an error.
Sent answerAsked(const Message& message, device::DmaMap& dma, Outlet& outlet, std::chrono::milliseconds within);

}  // namespace ismio::vfio_user
