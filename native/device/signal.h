// How a device signals an eventfd that others have as well.
#pragma once

namespace ismio::device {

// Has ready, for the rest of the process, what it takes to signal one: a descriptor, and a place in the kernel's
// asynchronous I/O. Once, or again.
void prepareSignals();

// Adds one to it, and never waits: an eventfd that is full is signalled already.
void signalEventfd(int eventfd);

}  // namespace ismio::device
