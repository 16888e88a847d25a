#include "backend/emulated/faults.h"

namespace ismio {

FaultPlan::FaultPlan(const std::vector<Fault>& script, uint64_t seed) : silent_(script.empty()), state_(seed) {
  for (const Fault& fault : script) lines_.push_back({fault});
}

// splitmix64 (Steele, Lea, Flood 2014): small, seeded, good enough to decide whether an access fails.
double FaultPlan::draw() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-53;
}

Status FaultPlan::byScript(Access access, uint64_t offset, uint64_t length, bool retry, Failure& failure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (lost_.load(std::memory_order_relaxed)) {
    failure.loss = Loss::device;
    return Status::regionLost;
  }
  Status answer = Status::ok;
  for (Line& line : lines_) {
    Fault& fault = line.fault;
    if ((fault.accesses & static_cast<uint8_t>(access)) == 0) continue;
    if (!retry) line.seen++;  // an access that is tried again is still the same access
    if (answer != Status::ok || fault.times == 0) continue;
    if (fault.nth != 0 && line.seen != fault.nth) continue;
    if (offset >= fault.to || offset + length <= fault.from) continue;
    if (fault.chance < 1 && draw() >= fault.chance) continue;
    fault.times--;
    failure.conditionCode = fault.conditionCode;
    failure.deviceStatus = fault.deviceStatus;
    switch (fault.conditionCode) {
      case 1: answer = Status::deviceError; break;
      case 2: answer = Status::busy; break;
      case 3: answer = Status::invalidHandle; break;
      default:
        lost_.store(true, std::memory_order_relaxed);
        failure.loss = Loss::device;
        answer = Status::regionLost;
    }
  }
  return answer;
}

}  // namespace ismio
