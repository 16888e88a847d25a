// A BAR of a function in this process, as its driver accesses it: memory is accessed where it lies, the rest is
// answered by JavaScript, which sees each access as the driver made it.
#pragma once

#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/emulated/emulated.h"
#include "device/function.h"

namespace ismio::device {

class Answered final : public Backend {
 public:
  Answered(std::shared_ptr<Function> function, uint32_t bar, const Rules& rules, const Cost& cost,
           const std::vector<Fault>& faults, uint64_t seed);

  bool mayRunScript(bool stores, uint64_t offset, uint64_t length) const override {
    return function_->desk->here() && function_->asksScript(bar_, stores, offset, length);
  }
  Status load(uint64_t offset, uint8_t* target, uint32_t width, Failure& failure) override;
  Status store(uint64_t offset, const uint8_t* source, uint32_t width, Failure& failure) override;
  Status storeBlock(uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure) override;
  void fence() override;

 private:
  Status before(Access access, uint64_t offset, uint64_t length, double cost, Failure& failure);
  static Status take(Engine& engine, uint64_t offset, const uint8_t* source, uint32_t length, Failure& failure);
  Status ask(const std::shared_ptr<Request>& request, Failure& failure) const;
  std::shared_ptr<Request> request(Handled kind, uint64_t offset, uint32_t length) const;

  const std::shared_ptr<Function> function_;
  const uint32_t bar_;
  const Rules rules_;
  const Cost cost_;
  FaultPlan faults_;
};

// How an access ended that was answered with this errno.
Status ended(int32_t error, Failure& failure);

}  // namespace ismio::device
