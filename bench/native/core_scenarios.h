// What the instructions of the native core are counted on: fixed inputs, no clock, no other thread, so that two runs of
// the same program execute the same instructions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace ismio::bench {

// A scenario, opened. One round is `prepare`, which is nobody's business, and `run`, which is counted.
class Work {
 public:
  Work() = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  virtual ~Work() = default;
  virtual void prepare() {}
  // False when it did not do all that it should.
  virtual bool run() = 0;
};

struct Scenario {
  const char* name;     // 'suite/what/how', as in bench/workload.ts
  uint64_t operations;  // of one round
  std::unique_ptr<Work> (*open)();
};

const std::vector<Scenario>& scenarios();

}  // namespace ismio::bench
