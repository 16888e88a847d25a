#include "device/interrupts.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/vfio.h>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>

#include "device/signal.h"

namespace ismio::device {
namespace {

void close(int descriptor) {
  if (descriptor >= 0) ::close(descriptor);
}

// Where there is no /proc nothing is known, and it is taken for one.
bool isEventfd(int descriptor) {
  constexpr std::string_view kName = "anon_inode:[eventfd]";
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  char name[64];
  const ssize_t length = readlink(link.c_str(), name, sizeof name);
  return length < 0 || std::string_view(name, static_cast<size_t>(length)) == kName;
}

constexpr uint32_t kActions = VFIO_IRQ_SET_ACTION_TYPE_MASK;
constexpr uint32_t kData = VFIO_IRQ_SET_DATA_TYPE_MASK;

}  // namespace

Interrupts::Interrupts(const std::array<uint32_t, kIrqs>& counts) : counts_(counts) {
  prepareSignals();
  for (uint32_t index = 0; index < kIrqs; index++) vectors_[index].resize(counts[index]);
}

Interrupts::~Interrupts() { clear(); }

int32_t Interrupts::set(uint32_t index, uint32_t flags, uint32_t start, uint32_t count, const int* descriptors,
                        const uint8_t* bools) {
  const uint32_t data = flags & kData;
  const uint32_t action = flags & kActions;
  const bool eventfds = data == VFIO_IRQ_SET_DATA_EVENTFD && descriptors != nullptr;
  const auto refuse = [&] {
    for (uint32_t i = 0; eventfds && i < count; i++) close(descriptors[i]);
    return EINVAL;
  };
  if (index >= kIrqs || start > counts_[index] || count > counts_[index] - start) return refuse();
  const bool trigger = action == VFIO_IRQ_SET_ACTION_TRIGGER;
  const bool mask = action == VFIO_IRQ_SET_ACTION_MASK;
  if (!trigger && !mask && action != VFIO_IRQ_SET_ACTION_UNMASK) return refuse();
  const std::lock_guard lock(mutex_);
  std::vector<Vector>& vectors = vectors_[index];
  const auto irq = static_cast<Irq>(index);
  if (data == VFIO_IRQ_SET_DATA_NONE && trigger && count == 0) {  // all of them off
    for (Vector& vector : vectors) {
      close(vector.eventfd);
      vector = Vector{-1, false, vector.pending};
    }
    return 0;
  }
  if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
    if (!eventfds || !trigger) return refuse();
    const std::span<const int> given(descriptors, count);
    if (!std::ranges::all_of(given, [](int one) { return one < 0 || isEventfd(one); })) return refuse();
    for (uint32_t i = 0; i < count; i++) {
      Vector& vector = vectors[start + i];
      close(vector.eventfd);
      vector.eventfd = descriptors[i];
      if (vector.eventfd >= 0 && (vector.pending || (irq == Irq::intx && level_)) && !vector.masked)
        signal(irq, vector);
    }
    return 0;
  }
  if (data == VFIO_IRQ_SET_DATA_BOOL && bools == nullptr) return EINVAL;
  if (data != VFIO_IRQ_SET_DATA_BOOL && data != VFIO_IRQ_SET_DATA_NONE) return EINVAL;
  for (uint32_t i = 0; i < count; i++) {
    if (data == VFIO_IRQ_SET_DATA_BOOL && bools[i] == 0) continue;
    Vector& vector = vectors[start + i];
    if (trigger) {
      signal(irq, vector);
    } else {
      vector.masked = mask;
      if (!mask && (vector.pending || (irq == Irq::intx && level_))) signal(irq, vector);
    }
  }
  return 0;
}

// What is signalled to nobody stays pending.
void Interrupts::signal(Irq irq, Vector& vector) {
  if (vector.eventfd < 0) {
    vector.pending = irq != Irq::intx;
    return;
  }
  signalEventfd(vector.eventfd);
  vector.pending = false;
  if (irq == Irq::intx) vector.masked = true;
}

void Interrupts::clear() {
  const std::lock_guard lock(mutex_);
  for (std::vector<Vector>& vectors : vectors_) {
    for (Vector& vector : vectors) {
      close(vector.eventfd);
      vector = {};
    }
  }
}

void Interrupts::raise(Irq irq, uint32_t vector, bool allowed) {
  const std::lock_guard lock(mutex_);
  std::vector<Vector>& vectors = vectors_[static_cast<uint32_t>(irq)];
  if (vector >= vectors.size()) return;
  Vector& raised = vectors[vector];
  if (allowed && !raised.masked) {
    signal(irq, raised);
  } else {
    raised.pending = true;
  }
}

void Interrupts::level(bool up) {
  const std::lock_guard lock(mutex_);
  level_ = up;
  for (Vector& vector : vectors_[static_cast<uint32_t>(Irq::intx)]) {
    if (up && !vector.masked) signal(Irq::intx, vector);
  }
}

bool Interrupts::pending(Irq irq, uint32_t vector) const {
  const std::lock_guard lock(mutex_);
  const std::vector<Vector>& vectors = vectors_[static_cast<uint32_t>(irq)];
  return vector < vectors.size() && vectors[vector].pending;
}

bool Interrupts::enabled(Irq irq, uint32_t vector) const {
  const std::lock_guard lock(mutex_);
  const std::vector<Vector>& vectors = vectors_[static_cast<uint32_t>(irq)];
  return vector < vectors.size() && vectors[vector].eventfd >= 0;
}

int Interrupts::share(Irq irq, uint32_t vector) const {
  const std::lock_guard lock(mutex_);
  const std::vector<Vector>& vectors = vectors_[static_cast<uint32_t>(irq)];
  if (vector >= vectors.size() || vectors[vector].masked || vectors[vector].eventfd < 0) return -1;
  return fcntl(vectors[vector].eventfd, F_DUPFD_CLOEXEC, 0);
}

void Interrupts::flush(Irq irq) {
  const std::lock_guard lock(mutex_);
  for (Vector& vector : vectors_[static_cast<uint32_t>(irq)]) {
    if (vector.pending && !vector.masked) signal(irq, vector);
  }
}

}  // namespace ismio::device
