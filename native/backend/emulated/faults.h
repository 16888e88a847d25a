// The fault plan of an emulated region: which access goes wrong, and how. Scripted and seeded, so a run repeats.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "backend/backend.h"

namespace ismio {

enum class Access : uint8_t { load = 1, store = 2, storeBlock = 4 };

// One line of the script. An access is struck when every condition that is set holds.
struct Fault {
  uint8_t accesses = 7;  // which kinds, as a set of Access bits
  uint64_t nth = 0;      // 1-based, counted over the accesses of these kinds; 0: any
  uint64_t from = 0;     // touches [from, to)
  uint64_t to = UINT64_MAX;
  double chance = 1;            // drawn for each access that fits
  uint8_t conditionCode = 0;    // 1, 2 or 3; 0: the region is lost
  uint8_t deviceStatus = 0;     // with condition code 1
  uint64_t times = UINT64_MAX;  // strikes before the line is used up; a busy access that is tried again is struck again
};

class FaultPlan {
 public:
  FaultPlan(const std::vector<Fault>& script, uint64_t seed);

  // ok, or what the device answers to this access.
  Status strike(Access access, uint64_t offset, uint64_t length, bool retry, Failure& failure) {
    return silent_ ? Status::ok : byScript(access, offset, length, retry, failure);
  }

 private:
  Status byScript(Access access, uint64_t offset, uint64_t length, bool retry, Failure& failure);
  struct Line {
    Fault fault;
    uint64_t seen = 0;
  };
  double draw();

  const bool silent_;
  std::mutex mutex_;
  std::vector<Line> lines_;
  uint64_t state_;
  std::atomic<bool> lost_{false};
};

}  // namespace ismio
