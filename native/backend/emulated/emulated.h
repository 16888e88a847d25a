// An emulated function: sparse bytes behind the rules of a real one. What the hardware refuses, it refuses.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/emulated/faults.h"
#include "backend/emulated/sparse.h"

namespace ismio {

// Synthetic time that an access takes, in nanoseconds; no public figure exists for the real ones.
struct Cost {
  double load = 0;
  double store = 0;
  double storeBlock = 0;
  double perByte = 0;
};

class Emulated final : public Backend {
 public:
  Emulated(uint64_t size, const Rules& rules, const Cost& cost, const std::vector<Fault>& faults, uint64_t seed,
           std::shared_ptr<SparseBytes::Account> account = nullptr);
  bool ready() const { return bytes_.ready(); }

  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  void fence() override;

 private:
  void spend(double accessCost, uint64_t bytes) const;

  const Rules rules_;
  const Cost cost_;
  const bool free_;
  FaultPlan faults_;
  SparseBytes bytes_;
};

}  // namespace ismio
