// For programs that run under qemu-s390x (user mode, 7.2 to 11.1): exchanges the halves of a SIGBUS' fault address
// back.
//
// When the host's kernel raises SIGBUS, the emulator hands the guest a siginfo_t whose si_addr has its two 32-bit
// halves exchanged; only 64-bit big-endian guests see it. A real machine is right, and so is the addon, which looks for
// the address among its mappings. This library is preloaded into the guest and stands between the two.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>

typedef int (*Sigaction)(int number, const struct sigaction* action, struct sigaction* previous);

static struct sigaction installed;  // what the program asked for; its handler is called by `mend`

static void mend(int number, siginfo_t* info, void* context) {
  const int fromKernel = info->si_code > 0;
  if (fromKernel) {
    const uint64_t told = (uint64_t)info->si_addr;
    info->si_addr = (void*)(told << 32 | told >> 32);
  }
  installed.sa_sigaction(number, info, context);
}

__attribute__((visibility("default"))) int sigaction(int number, const struct sigaction* action,
                                                     struct sigaction* previous) {
  static Sigaction next;
  if (next == NULL) next = (Sigaction)dlsym(RTLD_NEXT, "sigaction");
  if (number != SIGBUS) return next(number, action, previous);

  const struct sigaction before = installed;
  struct sigaction wrapped;
  const struct sigaction* passed = action;
  if (action != NULL && (action->sa_flags & SA_SIGINFO) != 0) {
    installed = wrapped = *action;
    wrapped.sa_sigaction = mend;
    passed = &wrapped;
  }
  struct sigaction was;
  const int result = next(number, passed, &was);
  if (previous != NULL) *previous = (was.sa_flags & SA_SIGINFO) != 0 && was.sa_sigaction == mend ? before : was;
  return result;
}
