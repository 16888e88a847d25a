// The array of doubles in which calls of one JavaScript thread leave what happened.
#pragma once

#include <napi.h>

#include "exec/executor.h"
#include "wire/wire.h"

namespace ismio::binding {

class Answers {
 public:
  explicit Answers(napi_env env);

  // False on a thread that is being terminated, or has no memory left.
  bool ready() const { return words_ != nullptr; }
  Napi::Value buffer() const { return buffer_.Value(); }

  // What a call of one narrow access asks for.
  double requested(wire::Request word) const { return words_[word]; }
  uint8_t* bytesMoved() const { return reinterpret_cast<uint8_t*>(words_ + wire::kBytesMoved); }

  // Writes what happened, and returns its status, which is what the call answers.
  Status put(Status status, const Failure& failure);
  Status put(const Report& report);

 private:
  double* words_ = nullptr;  // of buffer_
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

// What a call answers: undefined when all went well (the cheapest value to make), else the status.
inline Napi::Value status(const Napi::CallbackInfo& info, Status status) {
  return status == Status::ok ? Napi::Value() : Napi::Number::New(info.Env(), static_cast<double>(status));
}

}  // namespace ismio::binding
