// What takes the stores to a BAR that are not to memory, without JavaScript.
#pragma once

#include <cstdint>
#include <memory>

namespace ismio::device {

class Function;

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  // Once, when the function is made whose BAR it is. The function keeps the engine, so not the other way round.
  virtual void attach(const std::shared_ptr<Function>& function) = 0;
  // One store as the driver made it, from any thread, and at once from several: it waits for nobody. 0, or the errno
  // that refuses it: EIO is condition code 1 with `status` beside it, EBUSY is 2.
  virtual int32_t store(uint64_t offset, const uint8_t* source, uint32_t length, uint8_t& status) = 0;
};

}  // namespace ismio::device
