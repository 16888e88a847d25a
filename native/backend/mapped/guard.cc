#include "backend/mapped/guard.h"

#include <cerrno>
#include <csignal>
#include <linux/membarrier.h>
#include <memory>
#include <mutex>
#include <new>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ismio {
namespace {

// Both live for ever: a handler may run while the process ends.
Watches& watches() {
  static auto& all = *new Watches;
  return all;
}

// Whoever handled the signal before us. Never freed or changed, because a handler may be reading it; a program has a
// few different ones at most, so the list stays short.
struct Before {
  struct sigaction action;
  Before* next;
};
std::mutex armMutex;
Before* known = nullptr;                     // under armMutex
std::atomic<const Before*> before{nullptr};  // null: the default
std::atomic<const Watches*> table{nullptr};

// Without it (a kernel before 4.14, a sandbox that forbids the call) what is left is that replacing a mapping makes
// every CPU that uses it drop its translations, which most do by an interrupt: the same barrier.
void everyThreadSees() { syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0); }

bool zeros(uint8_t* base, size_t length) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  return mmap(base, length, PROT_READ | PROT_WRITE, kFlags, -1, 0) != MAP_FAILED;
}

// One mapping takes the place of one, whatever the number of pages. Where the system does not promise that much memory
// (vm.overcommit_memory 2), the page that was touched has to do: accesses look at the note first, so the others are
// touched by what is in flight only.
bool mend(uint8_t* address, int code) {
  const Watches* all = table.load(std::memory_order_acquire);
  Watch watch;
  if (all == nullptr || !all->find(address, watch)) return false;
  const auto at = static_cast<size_t>(address - watch.base);
  watch.fault->record(at, code);
  everyThreadSees();
  return zeros(watch.base, watch.length) || zeros(watch.base + (at & ~(watch.pageSize - 1)), watch.pageSize);
}

// How often a signal has come by this handler, or that of another copy of the addon: two that each passed on to the
// other would do so for ever. Counted in the last word of the signal's own siginfo_t, which the kernel clears for every
// signal (copy_siginfo_to_user) and nobody else uses.
uint32_t& visits(siginfo_t* info) {
  return reinterpret_cast<uint32_t*>(info)[sizeof(siginfo_t) / sizeof(uint32_t) - 1];
}
constexpr uint32_t kMostVisits = 16;

// As it would have been without us: a signal that somebody sent ends the process, or is ignored; a fault ends it (the
// kernel lets nobody ignore one) when the access is made again.
void byDefault(bool sent, bool ignored) {
  if (sent && ignored) return;
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  if (sigaction(SIGBUS, &standard, nullptr) != 0) _exit(128 + SIGBUS);
  if (sent) raise(SIGBUS);
}

// Not one of ours: whoever handled the signal before us does, with the signals blocked that it wanted blocked.
void pass(int number, siginfo_t* info, void* context) {
  const Before* next = before.load(std::memory_order_acquire);
  const bool sent = info->si_code <= 0;
  if (next == nullptr || visits(info) >= kMostVisits) return byDefault(sent, false);
  const struct sigaction& action = next->action;
  const bool detailed = (action.sa_flags & SA_SIGINFO) != 0;
  if (!detailed && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)) {
    return byDefault(sent, action.sa_handler == SIG_IGN);
  }
  if ((action.sa_flags & SA_RESETHAND) != 0) before.store(nullptr, std::memory_order_release);
  sigset_t blocked = action.sa_mask;
  if ((action.sa_flags & SA_NODEFER) == 0) sigaddset(&blocked, SIGBUS);
  sigset_t outside;
  const bool masked = pthread_sigmask(SIG_BLOCK, &blocked, &outside) == 0;
  visits(info)++;
  if (detailed) {
    action.sa_sigaction(number, info, context);
  } else {
    action.sa_handler(number);
  }
  visits(info)--;
  if (masked) pthread_sigmask(SIG_SETMASK, &outside, nullptr);
}

void onBusError(int number, siginfo_t* info, void* context) {
  const int errorNumber = errno;         // whatever was interrupted may be about to read it
  const bool fault = info->si_code > 0;  // else it was sent, and has no address
  if (!fault || !mend(static_cast<uint8_t*>(info->si_addr), info->si_code)) pass(number, info, context);
  errno = errorNumber;
}

bool ours(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == onBusError;
}

bool same(const struct sigaction& a, const struct sigaction& b) {
  if (a.sa_flags != b.sa_flags) return false;
  return (a.sa_flags & SA_SIGINFO) != 0 ? a.sa_sigaction == b.sa_sigaction : a.sa_handler == b.sa_handler;
}

bool remember(const struct sigaction& action) {
  Before* found = known;
  while (found != nullptr && !same(found->action, action)) found = found->next;
  if (found == nullptr) {
    found = new (std::nothrow) Before{action, known};
    if (found == nullptr) return false;
    known = found;
  }
  before.store(found, std::memory_order_release);
  return true;
}

}  // namespace

int Guard::arm() {
  const std::lock_guard<std::mutex> lock(armMutex);
  if (table.load(std::memory_order_relaxed) == nullptr) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);  // refused: see everyThreadSees
    table.store(&watches(), std::memory_order_release);
  }
  struct sigaction now = {};
  if (sigaction(SIGBUS, nullptr, &now) != 0) return errno;
  if (ours(now)) return 0;
  if (!remember(now)) return ENOMEM;
  struct sigaction action = {};
  action.sa_sigaction = onBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  return sigaction(SIGBUS, &action, nullptr) == 0 ? 0 : errno;
}

int Guard::again() { return table.load(std::memory_order_acquire) == nullptr ? 0 : arm(); }

int Guard::watch(uint8_t* base, size_t length, size_t pageSize) {
  const int refused = arm();
  if (refused != 0) return refused;
  slot_ = watches().add({base, length, pageSize, &fault_});
  return slot_ == nullptr ? ENOMEM : 0;
}

void Guard::release() {
  if (slot_ != nullptr) watches().remove(slot_);
  slot_ = nullptr;
}

}  // namespace ismio
