#include "binding/environment.h"

#include "binding/held_queue.h"

namespace ismio::binding {

Environment::Environment(Napi::Env env) {
  void* words = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, sizeof(double) * wire::kFields, &words, &buffer) != napi_ok) return;
  shared_ = static_cast<double*>(words);
  answers_ = Napi::Reference<Napi::ArrayBuffer>::New(Napi::ArrayBuffer(env, buffer), 1);
}

Environment::~Environment() = default;

void tellUncaught(Napi::Env env) {
  napi_value thrown = nullptr;
  if (env.IsExceptionPending() && napi_get_and_clear_last_exception(env, &thrown) == napi_ok) {
    napi_fatal_exception(env, thrown);
  }
}

Status Environment::answer(Status status, const Failure& failure) {
  double* words = shared_;
  words[wire::kStatus] = static_cast<double>(status);
  if (status == Status::ok) return status;
  words[wire::kConditionCode] = failure.conditionCode;
  words[wire::kDeviceStatus] = failure.deviceStatus;
  words[wire::kRule] = static_cast<double>(failure.rule);
  words[wire::kLoss] = static_cast<double>(failure.loss);
  words[wire::kErrno] = failure.errorNumber;
  words[wire::kTries] = failure.tries;
  words[wire::kOffset] = static_cast<double>(failure.offset);
  words[wire::kLength] = static_cast<double>(failure.length);
  words[wire::kDone] = static_cast<double>(failure.done);
  words[wire::kUnknownLoads] = static_cast<double>(failure.unknownLoads);
  return status;
}

Status Environment::answer(const Report& report) {
  double* words = shared_;
  words[wire::kIndex] = report.index;
  words[wire::kUnfinished] = report.unfinished;
  words[wire::kOperations] = report.operations;
  words[wire::kLoads] = static_cast<double>(report.moved.loads);
  words[wire::kStores] = static_cast<double>(report.moved.stores);
  words[wire::kStoreBlocks] = static_cast<double>(report.moved.storeBlocks);
  words[wire::kBytes] = static_cast<double>(report.moved.bytes);
  words[wire::kMerged] = static_cast<double>(report.moved.merged);
  words[wire::kRetries] = static_cast<double>(report.moved.retries);
  words[wire::kErrors] = static_cast<double>(report.moved.errors);
  words[wire::kCopies] = static_cast<double>(report.moved.copies);
  if (report.began != 0) [[unlikely]] {
    words[wire::kBegan] = report.began;
    words[wire::kEnded] = report.ended;
  }
  return answer(report.failure.status, report.failure);
}

}  // namespace ismio::binding
