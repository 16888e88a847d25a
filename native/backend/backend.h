// What every backend does: single accesses, each one a transaction that the device sees as such.
//
// Callers (native/exec) have checked the range; a backend checks what its device would check. Every access answers at
// once with a Status; what the device said goes into a Failure, which is only written when the access failed.
#pragma once

#include <atomic>
#include <cstdint>

#include "access/access.h"
#include "access/status.h"

namespace ismio {

// What of a region JavaScript may touch without a call: a device by atomic loads alone. It asks for the loss behind
// each access, and leaves a region that is lost to `load` and `store`.
struct InPlace {
  uint8_t* base = nullptr;
  uint64_t length = 0;                          // 0: nothing
  const std::atomic<uint64_t>* lost = nullptr;  // its lowest byte is 0 until the memory has gone
  bool device = false;
};

// How many store blocks of 4 KiB are made without a look whether the work is to stop: some microseconds on memory, and
// most of a millisecond on a device that takes 100 ns for 8 bytes.
inline constexpr uint32_t kBlocksTogether = 16;
// No backend is handed more blocks at once.
inline constexpr uint32_t kMostBlocksTogether = 64;

class Backend {
 public:
  // How many accesses may be handed over together: a caller looks between two calls whether it should stop, so only a
  // backend whose accesses take nanoseconds takes many. Loads may have a number of their own.
  explicit Backend(uint64_t together) : Backend(together, together) {}
  Backend(uint64_t together, uint64_t loadsTogether, uint32_t sourceAlignment = 1,
          uint32_t blocksTogether = kBlocksTogether)
      : together(together),
        loadsTogether(loadsTogether),
        sourceAlignment(sourceAlignment),
        blocksTogether(blocksTogether) {}
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  // Whether JavaScript of the calling thread may run before an access to these bytes has ended: it may take away the
  // memory that the access moves from or to.
  virtual bool mayRunScript(bool /*stores*/, uint64_t /*offset*/, uint64_t /*length*/) const { return false; }

  const uint64_t together;
  const uint64_t loadsTogether;
  // A store block from a source that is no multiple of this is copied on its way, once.
  const uint32_t sourceAlignment;
  // Store blocks that are gathered for one call, where it takes as many together.
  const uint32_t blocksTogether;

  // One load of 1, 2, 4 or 8 bytes, naturally aligned, bytes in the order of their addresses.
  virtual Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) = 0;
  // A run of 8-byte loads in ascending order; `done` counts those that went through.
  virtual Status loadWords(uint64_t offset, uint8_t* target, uint64_t words, uint64_t& done, Failure& failure) {
    for (done = 0; done < words; done++) {
      const Status status = load(offset + done * 8, target + done * 8, 8, failure);
      if (status != Status::ok) return status;
      failure.tries = 0;
    }
    return Status::ok;
  }
  // One store of 1, 2, 4 or 8 bytes, naturally aligned.
  virtual Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) = 0;
  // 8-byte stores in the order given; `done` counts those that went through.
  virtual Status storeWords(const Word* words, uint64_t count, uint64_t& done, Failure& failure) {
    for (done = 0; done < count; done++) {
      const auto* source = reinterpret_cast<const uint8_t*>(&words[done].bytes);
      const Status status = store(words[done].offset, source, 8, failure);
      if (status != Status::ok) return status;
      failure.tries = 0;
    }
    return Status::ok;
  }
  // One store block.
  virtual Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) = 0;
  // Store blocks in the order given; `done` counts those that went through.
  virtual Status storeBlocks(const Block* blocks, uint64_t count, uint64_t& done, Failure& failure) {
    for (done = 0; done < count; done++) {
      const Status status = storeBlock(blocks[done].offset, blocks[done].source, blocks[done].length, failure);
      if (status != Status::ok) return status;
      failure.tries = 0;
    }
    return Status::ok;
  }
  // `count` store blocks like the first, each behind the one before it, on both sides; all are legal if the first is.
  virtual Status storeSpan(const Block& first, uint64_t count, uint64_t& done, Failure& failure) {
    for (done = 0; done < count; done++) {
      const uint64_t at = done * first.length;
      const Status status = storeBlock(first.offset + at, first.source + at, first.length, failure);
      if (status != Status::ok) return status;
      failure.tries = 0;
    }
    return Status::ok;
  }
  virtual InPlace inPlace() const { return {}; }
  // Everything stored before is visible to the device before anything stored after.
  virtual void fence() = 0;
};

}  // namespace ismio
