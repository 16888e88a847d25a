#include "binding/answers.h"

namespace ismio::binding {

Answers::Answers(napi_env env) {
  void* words = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, sizeof(double) * wire::kAnswerWords, &words, &buffer) != napi_ok) return;
  words_ = static_cast<double*>(words);
  buffer_ = Napi::Reference<Napi::ArrayBuffer>::New(Napi::ArrayBuffer(env, buffer), 1);
}

Status Answers::put(Status status, const Failure& failure) {
  double* words = words_;
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

Status Answers::put(const Report& report) {
  double* words = words_;
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
  return put(report.failure.status, report.failure);
}

}  // namespace ismio::binding
