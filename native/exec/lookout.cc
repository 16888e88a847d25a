#include "exec/lookout.h"

#include <algorithm>

#include "support/pause.h"

namespace ismio {
namespace {

constexpr double kBetweenQuestions = 1e6;  // nanoseconds
constexpr uint32_t kLongestStride = 64;

}  // namespace

[[gnu::noinline, gnu::cold]] bool Lookout::look() {
  const double now = nanosecondsNow();
  if (asked_ == 0) asked_ = now;
  const bool soon = now - asked_ < kBetweenQuestions;
  stride_ = soon ? std::min(stride_ * 2, kLongestStride) : 1;
  left_ = stride_;
  if (soon) return false;
  if (threadEnds()) return true;
  asked_ = now;
  return false;
}

}  // namespace ismio
