// A device for tests: remembers its bytes, writes down every access that it took, refuses none that is legal, and fails
// one when told to. An access that no device would take is a failed test.
#pragma once

#include <doctest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace ismio::test {

class Recorder final : public Backend {
 public:
  enum class What : char { load = 'L', store = 'S', block = 'B' };
  struct Access {
    What what;
    uint64_t offset;
    uint32_t length;
  };

  Recorder(uint64_t size, const Rules& rules, uint64_t together = 1) : Backend(together), memory(size), rules_(rules) {}

  std::vector<uint8_t> memory;
  std::vector<Access> taken;
  Access failed{};  // the one that was failed

  // The n-th access (from 1) that is tried answers this; with Status::busy that often.
  void failAt(uint64_t nth, Status status, uint64_t times = 1) {
    failAt_ = nth;
    answer_ = status;
    times_ = times;
  }
  // Called before the n-th access is made.
  void before(uint64_t nth, std::function<void()> call) {
    callAt_ = nth;
    call_ = std::move(call);
  }

  // Called before each.
  void beforeEach(std::function<void()> call) { callEach_ = std::move(call); }

  // What was taken, as "B0+16 S16+8".
  std::string told() const {
    std::string text;
    for (const Access& access : taken) {
      text += text.empty() ? "" : " ";
      text += static_cast<char>(access.what);
      text += std::to_string(access.offset) + "+" + std::to_string(access.length);
    }
    return text;
  }

  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override {
    requireNatural(offset, width);
    const Status status = take({What::load, offset, width}, failure);
    if (status == Status::ok) std::memcpy(target, &memory[offset], width);
    return status;
  }

  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override {
    requireNatural(offset, width);
    const Status status = take({What::store, offset, width}, failure);
    if (status == Status::ok) std::memcpy(&memory[offset], source, width);
    return status;
  }

  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override {
    REQUIRE(broken(rules_, offset, length) == Rule::none);
    const Status status = take({What::block, offset, length}, failure);
    if (status == Status::ok) std::memcpy(&memory[offset], source, length);
    return status;
  }

  void fence() override { fences++; }
  int fences = 0;

 private:
  static void requireNatural(uint64_t offset, uint32_t width) {
    REQUIRE((width == 1 || width == 2 || width == 4 || width == 8));
    REQUIRE(offset % width == 0);
  }

  Status take(const Access& access, Failure& failure) {
    REQUIRE(access.offset + access.length <= memory.size());
    tried_++;
    if (tried_ == callAt_) call_();
    if (callEach_) callEach_();
    if (tried_ >= failAt_ && tried_ - failAt_ < times_) {
      failed = access;
      failure.conditionCode = answer_ == Status::busy ? 2 : answer_ == Status::deviceError ? 1 : 0;
      return answer_;
    }
    taken.push_back(access);
    return Status::ok;
  }

  const Rules rules_;
  uint64_t tried_ = 0;
  uint64_t failAt_ = 0;
  uint64_t times_ = 0;
  Status answer_ = Status::ok;
  uint64_t callAt_ = 0;
  std::function<void()> call_;
  std::function<void()> callEach_;
};

}  // namespace ismio::test
