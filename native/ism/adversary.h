// What hardware may do to signals, and what goes wrong with moves, by a seed: the same moves of a function meet the
// same.
//
//     move -> busy, or refused -> its bytes are in memory -> its sender dies -> its signal is held -> a thread raises
//     it
//
// Bytes are never late, and moves of one function keep their order. A signal may be late, and be one with others of its
// DMB; it is never lost while the DMB is there.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ismio::ism {

class Port;

// Shared with src/addon/wire.ts by value.
enum class Mischief : uint8_t {
  delay = 0,     // the signal comes later
  coalesce = 1,  // it waits for the next signal of its DMB
  reorder = 2,   // it waits until another DMB of its owner was signalled
  fail = 3,      // the move is refused, and nothing of it is made
  kill = 4,      // its sender dies, between the bytes and the signal
  busy = 5,      // condition code 2
};
inline constexpr size_t kMischiefs = 6;

class Adversary {
 public:
  struct Plan {
    uint64_t seed = 0;
    std::array<uint32_t, kMischiefs> rates{};  // of a thousand moves
    std::chrono::milliseconds latest{8};       // that a signal is held, whatever it waits for
  };
  // The signal of a DMB: its slot in the fabric, and which life of that, so that nobody else is told.
  struct Signal {
    uint32_t slot = 0;
    uint64_t life = 0;
    const Port* owner = nullptr;  // to be compared alone
    uint16_t colours = 0;         // a bit for each
  };
  using Raise = std::function<void(const Signal&)>;

  // `raise` is called by a thread of the adversary, which holds no lock then.
  Adversary(const Plan& plan, Raise raise);
  ~Adversary();
  Adversary(const Adversary&) = delete;
  Adversary& operator=(const Adversary&) = delete;

  // Whether the move with this number of the function with that number meets it. If so, that is counted.
  bool strikes(Mischief mischief, uint32_t function, uint64_t move);
  // Keeps the signal of that move for later, if it is to be. False: it is raised now.
  bool hold(const Signal& signal, uint32_t function, uint64_t move);
  // What is held for this DMB to be raised with its next signal, which is now.
  uint16_t join(const Signal& signal);
  // A signal was raised: those of other DMBs of its owner that waited for it are due.
  void raised(const Signal& signal);
  // Raises what it holds, and ends its thread. Nothing is held any more. Never from its own thread.
  void end();

  uint64_t count(Mischief mischief) const { return counts_[static_cast<size_t>(mischief)].load(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Held {
    Signal signal;
    Mischief why = Mischief::delay;
    Clock::time_point due;
  };
  uint64_t draw(uint64_t salt, uint32_t function, uint64_t move) const;
  Clock::time_point dueOf(Mischief why, uint32_t function, uint64_t move) const;
  void run();

  const Plan plan_;
  const Raise raise_;
  std::array<std::atomic<uint64_t>, kMischiefs> counts_{};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Held> held_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace ismio::ism
