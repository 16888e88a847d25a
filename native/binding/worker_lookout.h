// Whether a Worker was terminated while it is in native code: Node-API then refuses whatever might run JavaScript, and
// does so before it looks at what is asked for. What is asked for here runs none.
#pragma once

#include <napi.h>

#include <optional>

#include "binding/environment.h"
#include "exec/issuer.h"

namespace ismio::binding {

class WorkerLookout final : public Lookout {
 public:
  explicit WorkerLookout(napi_env env, const std::atomic<uint32_t>* stop = nullptr) : Lookout(stop), env_(env) {}

  // For whoever waits, and looks now and then.
  bool ends() { return threadEnds(); }

 private:
  bool threadEnds() override {
    const Napi::HandleScope scope(env_);  // or the answers would add up until the call returns
    napi_value number = nullptr;
    napi_value truth = nullptr;
    napi_create_uint32(env_, 1, &number);
    return napi_coerce_to_bool(env_, number, &truth) != napi_ok;
  }

  const napi_env env_;
};

// Has the accesses of an issuer end early, for the time of one call, where its thread was terminated.
class EndingEarly {
 public:
  EndingEarly(const Environment& environment, Issuer& issuer) : issuer_(issuer) {
    if (environment.ofWorker) issuer_.watch(Stop(lookout_.emplace(environment.env)));
  }
  ~EndingEarly() {
    if (lookout_.has_value()) issuer_.unwatch();
  }
  EndingEarly(const EndingEarly&) = delete;
  EndingEarly& operator=(const EndingEarly&) = delete;

 private:
  Issuer& issuer_;
  std::optional<WorkerLookout> lookout_;
};

}  // namespace ismio::binding
