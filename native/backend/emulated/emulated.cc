#include "backend/emulated/emulated.h"

#include <atomic>
#include <utility>

#include "support/pause.h"

namespace ismio {

Emulated::Emulated(uint64_t size, const Rules& rules, const Cost& cost, const std::vector<Fault>& faults, uint64_t seed,
                   std::shared_ptr<SparseBytes::Account> account)
    : Backend(1),
      rules_(rules),
      cost_(cost),
      free_(cost.load == 0 && cost.store == 0 && cost.storeBlock == 0 && cost.perByte == 0),
      faults_(faults, seed),
      bytes_(size, std::move(account)) {}

void Emulated::spend(double accessCost, uint64_t bytes) const {
  if (free_) return;
  const double cost = accessCost + cost_.perByte * static_cast<double>(bytes);
  if (cost > 0) pauseFor(cost);
}

Status Emulated::load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) {
  spend(cost_.load, width);
  const Status status = faults_.strike(Access::load, offset, width, failure.tries > 0, failure);
  if (status == Status::ok) bytes_.load(offset, target, width);
  return status;
}

Status Emulated::store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) {
  spend(cost_.store, width);
  const Status status = faults_.strike(Access::store, offset, width, failure.tries > 0, failure);
  if (status != Status::ok) return status;
  return bytes_.store(offset, source, width) ? Status::ok : Status::noMemory;
}

// A block that breaks a rule takes no time and changes nothing: ism-vfio-pci answers EINVAL before it issues anything,
// and a strict function's alignment is a specification exception, which the kernel turns into ENXIO.
Status Emulated::storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) {
  const Rule rule = broken(rules_, offset, length);
  if (rule != Rule::none) {
    failure.rule = rule;
    failure.errorNumber = errorNumberOf(rule);
    return Status::ruleBroken;
  }
  spend(cost_.storeBlock, length);
  const Status status = faults_.strike(Access::storeBlock, offset, length, failure.tries > 0, failure);
  if (status != Status::ok) return status;
  return bytes_.store(offset, source, length) ? Status::ok : Status::noMemory;
}

void Emulated::fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

}  // namespace ismio
