// Waiting for a short, exact time.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace ismio {

inline double nanosecondsNow() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Spins, because a sleep overshoots by some 50 us. A longer wait sleeps for all but its last part, so that threads
// that wait do not take the CPU from threads that work.
inline void pauseFor(double nanoseconds) {
  constexpr double kSpin = 200'000;
  const double deadline = nanosecondsNow() + nanoseconds;
  if (nanoseconds > 2 * kSpin) {
    const auto asleep = static_cast<int64_t>(nanoseconds - kSpin);
    const timespec pause{static_cast<time_t>(asleep / 1'000'000'000), static_cast<long>(asleep % 1'000'000'000)};
    nanosleep(&pause, nullptr);  // cut short by a signal: the loop below waits for the rest
  }
  while (nanosecondsNow() < deadline) {}
}

}  // namespace ismio
