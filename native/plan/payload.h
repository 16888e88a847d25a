// Payload that is copied on its way between the caller's memory and the access. Every such copy goes through here, so
// that each is counted (test/counters.test.ts looks for others).
//
// What counts: a piece of an operation put into another buffer, which its store or the caller then reads. What does
// not: the access itself, which for a device of JavaScript is what its handler is asked and answers; the value of a
// store, which crosses in its ring entry and is handed on by value; what a recording keeps, which is on nothing's way.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "support/stages.h"

namespace ismio {

class Payload {
 public:
  void copy(uint8_t* target, const uint8_t* source, uint64_t length) {
    if (length == 0) return;
    count_++;
    if (clock_ != nullptr) [[unlikely]]
      return copyTimed(target, source, length);
    std::memcpy(target, source, length);
  }

  // A loop that copies words counts them when it is through: `copyWord` in it, `copied` after it. `copyWords` is such a
  // loop of its own.
  static void copyWord(uint8_t* target, const uint8_t* source) { std::memcpy(target, source, 8); }
  static void copyWords(uint8_t* target, const uint8_t* source, uint64_t words) {
    std::memcpy(target, source, words * 8);
  }
  void copied(uint64_t pieces) { count_ += pieces; }

  // Null: copies are not timed.
  void time(StageClock* clock) { clock_ = clock; }
  StageClock* clock() const { return clock_; }

  // How many copies there were since this was last asked.
  uint64_t take() { return std::exchange(count_, 0); }

 private:
  [[gnu::noinline, gnu::cold]] void copyTimed(uint8_t* target, const uint8_t* source, uint64_t length) const {
    const StageScope copying(clock_, Stage::copy);
    std::memcpy(target, source, length);
  }

  uint64_t count_ = 0;
  StageClock* clock_ = nullptr;
};

}  // namespace ismio
