// The cheapest clock of the CPU, in ticks of its own, and what a tick is in nanoseconds.
//
//   x86-64    RDTSC: counts at a constant rate, alike on all cores (CPUID 80000007h EDX bit 8, Intel SDM vol. 3B 18.17)
//   aarch64   CNTVCT_EL0, the virtual counter (Arm ARM D11.1); its step may be 10 to 40 ns
//   s390x     STCKF, the time-of-day clock (Principles of Operation, "STORE CLOCK FAST")
//   others    CLOCK_MONOTONIC
//
// None of them waits for the instructions before it: a stamp is some ten nanoseconds early or late.
#pragma once

#include <cstdint>

#include "support/pause.h"

namespace ismio {

inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t count;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#elif defined(__s390x__)
  uint64_t count;
  asm volatile("stckf %0" : "=Q"(count) : : "cc");
  return count;
#else
  return static_cast<uint64_t>(nanosecondsNow());
#endif
}

// From an earlier tick to a later one. Threads on two cores may see them the other way round by a little.
inline uint64_t ticksBetween(uint64_t earlier, uint64_t later) { return later > earlier ? later - earlier : 0; }

// Both clocks at one moment.
struct Clocks {
  uint64_t ticks;
  double nanoseconds;
};

// Whoever was interrupted between the two readings tries again: the tightest of some is taken.
inline Clocks clocksNow() {
  Clocks best{0, 0};
  uint64_t tightest = UINT64_MAX;
  for (int i = 0; i < 5; i++) {
    const uint64_t before = ticks();
    const double nanoseconds = nanosecondsNow();
    const uint64_t took = ticksBetween(before, ticks());
    if (took >= tightest) continue;
    tightest = took;
    best = {before + took / 2, nanoseconds};
  }
  return best;
}

// When this process first asked. The longer ago, the better the rate.
inline const Clocks& firstClocks() {
  static const Clocks first = clocksNow();
  return first;
}

// Compares both clocks since `firstClocks`; waits where that is less than 2 ms ago, so that it is right to 0.1 % at
// least.
inline double nanosecondsPerTick() {
  const Clocks& first = firstClocks();
  Clocks now = clocksNow();
  while (now.nanoseconds - first.nanoseconds < 2e6) now = clocksNow();
  return (now.nanoseconds - first.nanoseconds) / static_cast<double>(ticksBetween(first.ticks, now.ticks));
}

}  // namespace ismio
