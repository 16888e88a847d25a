// What takes the stores to a BAR that are not to memory, without JavaScript.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unistd.h>

namespace ismio::device {

class Function;

// What lets a driver store to a peer's memory by itself: descriptors that are closed with it.
struct Lane {
  enum Part : uint8_t { memory, signals, interrupt };
  Lane() { descriptors.fill(-1); }
  ~Lane() {
    for (const int descriptor : descriptors) {
      if (descriptor >= 0) close(descriptor);
    }
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  std::array<int, 3> descriptors;  // by part: two files from their start on, an eventfd
  uint32_t length = 0;             // bytes of the memory
  uint32_t index = 0;              // of its signals
};

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
  // Whether there are lanes past it: then the files of the driver's memory are kept.
  virtual bool lends() const { return false; }
  // The lane to the memory of a token: 0, or an errno.
  virtual int32_t lane(uint64_t token, Lane& made);
};

}  // namespace ismio::device
