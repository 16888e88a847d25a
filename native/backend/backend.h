// What every backend does: single accesses, each one a transaction that the device sees as such.
//
// Callers (native/exec) have checked the range; a backend checks what its device would check. Every access answers at
// once with a Status; what the device said goes into a Failure, which is only written when the access failed.
#pragma once

#include <cstdint>

#include "plan/rules.h"

namespace ismio {

// Shared with src/wire.ts by value.
enum class Status : uint8_t {
  ok = 0,
  outOfRange = 1,     // not inside the region
  misaligned = 2,     // a load or store that is not at a multiple of its width
  ruleBroken = 3,     // a store block that the rules refuse
  readOnly = 4,       // the region was opened without write access
  closed = 5,         // the region was closed
  aborted = 6,        // stopped on request, between two accesses
  deviceError = 7,    // condition code 1
  busy = 8,           // condition code 2, still after every retry
  invalidHandle = 9,  // condition code 3
  regionLost = 10,    // the memory behind the region has gone
  systemError = 11,   // the kernel refused: errno
  badEntry = 12,      // a ring entry that no caller of this package writes
  noMemory = 13,      // the emulated region could not get memory for its bytes
};

// Why a region is lost. Shared with src/wire.ts by value.
enum class Loss : uint8_t {
  unknown = 0,
  truncated = 1,    // the file is shorter than the region
  noSpace = 2,      // the file system has no page left for a part of the file that has none yet
  device = 3,       // memory decode off, or the device gone
  ioError = 4,      // the file system cannot read the page, or may not give one: a disk, a quota
  memoryError = 5,  // the memory itself is broken: the kernel took the page away
};

struct Failure {
  Status status = Status::ok;
  uint8_t conditionCode = 0;
  uint8_t deviceStatus = 0;  // bits 24..31 of the request register, with condition code 1
  Rule rule = Rule::none;
  Loss loss = Loss::unknown;
  int32_t errorNumber = 0;
  uint32_t tries = 0;   // how often the access was tried
  uint32_t unseen = 0;  // stores of this call or batch since a backend that has to look at something last did
  uint64_t offset = 0;  // of the access that failed
  uint64_t length = 0;
  uint64_t done = 0;          // bytes of the operation that went through before it
  uint64_t unknownLoads = 0;  // 8-byte loads behind those that may have been made: nobody says
};

// One 8-byte store of many.
struct Word {
  uint64_t offset;
  uint64_t bytes;  // in the order of their addresses
};

// One store block of many.
struct Block {
  uint64_t offset;
  const uint8_t* source;
  uint32_t length;
};

enum class Kind : uint8_t { device, memory };

// What a fence is for. Shared with src/wire.ts by value.
enum class Fence : uint8_t {
  full = 0,            // every store before it before any access after it
  beforeDoorbell = 1,  // every store before it before any store after it
  afterStatus = 2,     // every load before it before any access after it
};
inline constexpr uint32_t kFences = 3;

class Backend {
 public:
  // How many accesses may be handed over together: a caller looks between two calls whether it should stop, so only a
  // backend whose accesses take nanoseconds takes many. Loads may have a number of their own.
  explicit Backend(uint64_t together) : Backend(together, together) {}
  Backend(uint64_t together, uint64_t loadsTogether, uint32_t sourceAlignment = 1)
      : together(together), loadsTogether(loadsTogether), sourceAlignment(sourceAlignment) {}
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  const uint64_t together;
  const uint64_t loadsTogether;
  // A store block from a source that is no multiple of this is copied on its way, once.
  const uint32_t sourceAlignment;

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
  // Everything stored before is visible to the device before anything stored after.
  virtual void fence() = 0;
};

}  // namespace ismio
