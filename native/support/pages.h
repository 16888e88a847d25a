// Giving address space back.
#pragma once

#include <cstddef>

namespace ismio {

// Whole pages, as they were mapped. The kernel may refuse for want of memory of its own (ENOMEM, where a mapping that
// has grown together with its neighbour would have to be split): they are then kept in mind, and tried again with the
// next ones.
void unmapPages(void* base, size_t length);

// What could not be given back yet, in bytes.
size_t pagesLeft();

}  // namespace ismio
