#include "backend/mapped/guard.h"

#include <csignal>
#include <mutex>
#include <sys/mman.h>

namespace ismio {
namespace {

// A signal handler may take no lock and allocate nothing, so the watched ranges stand in a fixed table. A slot is
// published by its base, written last and cleared first.
struct Slot {
  std::atomic<uint8_t*> base{nullptr};
  std::atomic<size_t> length{0};
  std::atomic<size_t> pageSize{0};
  std::atomic<std::atomic<bool>*> lost{nullptr};
};

constexpr int kSlots = 1024;
Slot slots[kSlots];
std::mutex slotsMutex;
struct sigaction previous;

bool mend(uint8_t* address) {
  for (Slot& slot : slots) {
    uint8_t* base = slot.base.load(std::memory_order_acquire);
    if (base == nullptr || address < base || address >= base + slot.length.load(std::memory_order_relaxed)) continue;
    const size_t pageSize = slot.pageSize.load(std::memory_order_relaxed);
    uint8_t* page = base + (static_cast<size_t>(address - base) & ~(pageSize - 1));
    void* zeros =
        mmap(page, pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED) return false;
    slot.lost.load(std::memory_order_relaxed)->store(true, std::memory_order_relaxed);
    return true;
  }
  return false;
}

// Not one of ours: whoever handled the signal before us does. Where nobody did, it is as it would have been without us:
// a signal that somebody sent ends the process, or is ignored; a fault ends it (the kernel lets nobody ignore one) when
// the access is made again.
void pass(int number, siginfo_t* info, void* context) {
  const bool sent = info->si_code <= 0;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(number);
  } else if (previous.sa_handler == SIG_DFL || !sent) {
    signal(SIGBUS, SIG_DFL);
    if (sent) raise(SIGBUS);
  }
}

void onBusError(int number, siginfo_t* info, void* context) {
  const bool fault = info->si_code > 0;  // else it was sent, and has no address
  if (!fault || !mend(static_cast<uint8_t*>(info->si_addr))) pass(number, info, context);
}

void installOnce() {
  static bool installed = false;  // under slotsMutex
  if (installed) return;
  struct sigaction action = {};
  action.sa_sigaction = onBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  installed = sigaction(SIGBUS, &action, &previous) == 0;
}

}  // namespace

Guard::Guard(uint8_t* base, size_t length, size_t pageSize) {
  const std::lock_guard<std::mutex> lock(slotsMutex);
  installOnce();
  for (int i = 0; i < kSlots; i++) {
    Slot& slot = slots[i];
    if (slot.base.load(std::memory_order_relaxed) != nullptr) continue;
    slot.length.store(length, std::memory_order_relaxed);
    slot.pageSize.store(pageSize, std::memory_order_relaxed);
    slot.lost.store(&lost_, std::memory_order_relaxed);
    slot.base.store(base, std::memory_order_release);
    slot_ = i;
    return;
  }
}

void Guard::release() {
  if (slot_ < 0) return;
  const std::lock_guard<std::mutex> lock(slotsMutex);
  slots[slot_].base.store(nullptr, std::memory_order_release);
  slot_ = -1;
}

}  // namespace ismio
