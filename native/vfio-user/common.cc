#include "vfio-user/common.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace ismio::vfio_user {

Common::Common(Told told) : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), told_(std::move(told)) {}

Common::~Common() {
  if (wake_ >= 0) close(wake_);
}

// Refused where its count is full alone: then it is signalled.
void Common::wake() const { eventfd_write(wake_, 1); }

void Common::woken() const {
  eventfd_t count = 0;
  eventfd_read(wake_, &count);  // refused where nobody has signalled: as good
}

void Common::tell(const Event& event) {
  const std::lock_guard lock(mutex_);
  if (told_ != nullptr) told_(event);
}

void Common::refuse(int32_t error) {
  counts.refused++;
  tell({Happening::refused, error});
}

void Common::end() {
  const std::lock_guard lock(mutex_);
  told_ = nullptr;
}

}  // namespace ismio::vfio_user
