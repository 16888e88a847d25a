// The interrupts of a device, as VFIO_DEVICE_SET_IRQS sets them up: an eventfd for each vector.
//
// A vector that is raised while it has no eventfd, or is masked, is pending: it is signalled once when that is over.
// INTx is a level, and masks itself when it is signalled; unmasked while the level is up, it is signalled again
// [Linux drivers/vfio/pci/vfio_pci_intrs.c].
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <vector>

namespace ismio::device {

enum class Irq : uint8_t { intx = 0, msi = 1, msix = 2, err = 3, req = 4 };  // VFIO_PCI_*_IRQ_INDEX
inline constexpr uint32_t kIrqs = 5;

class Interrupts {
 public:
  explicit Interrupts(const std::array<uint32_t, kIrqs>& counts);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  uint32_t count(uint32_t index) const { return index < kIrqs ? counts_[index] : 0; }

  // VFIO_DEVICE_SET_IRQS: `flags` as there; with eventfds, `descriptors` has `count` of them, each ours from now on,
  // -1 for none; with bools, `bools` has `count` bytes. 0 or an errno: EINVAL for what cannot be, and no eventfd.
  // Descriptors are closed whatever the answer.
  int32_t set(uint32_t index, uint32_t flags, uint32_t start, uint32_t count, const int* descriptors,
              const uint8_t* bools);
  // Every kind off, eventfds closed, nothing pending: the driver has gone.
  void clear();

  // From any thread. What is held back becomes pending. `allowed`: false holds it back as well.
  void raise(Irq irq, uint32_t vector, bool allowed = true);
  // INTx alone.
  void level(bool up);
  bool pending(Irq irq, uint32_t vector) const;
  // Whether the driver has set it up: it has an eventfd.
  bool enabled(Irq irq, uint32_t vector) const;
  // Another descriptor, the caller's, of the eventfd that a vector has; -1: it has none, or is masked.
  int share(Irq irq, uint32_t vector) const;
  // What was held back because it was not allowed is signalled now.
  void flush(Irq irq);

 private:
  struct Vector {
    int eventfd = -1;
    bool masked = false;
    bool pending = false;
  };
  static void signal(Irq irq, Vector& vector);

  const std::array<uint32_t, kIrqs> counts_;
  mutable std::mutex mutex_;
  std::array<std::vector<Vector>, kIrqs> vectors_;
  bool level_ = false;
};

}  // namespace ismio::device
