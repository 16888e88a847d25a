// How an access ended, and what its device and its kernel said of it.
#pragma once

#include <cstdint>

#include "access/rules.h"

namespace ismio {

// Shared with src/addon/wire.ts by value.
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
  unanswered = 14,    // the thread that runs a device's handlers did not answer in time
  deadlock = 15,      // an access that could only wait for itself
};

// Why a region is lost. Shared with src/addon/wire.ts by value.
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

}  // namespace ismio
