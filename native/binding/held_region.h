// A region as a JavaScript thread holds it, and an access to one.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "exec/issuer.h"
#include "region/region.h"

namespace ismio::binding {

struct HeldRegion final : Held {
  static constexpr HandleKind kKind = HandleKind::region;
  explicit HeldRegion(std::shared_ptr<Region> region) : attachment(std::move(region)), issuer(attachment) {}
  const Attachment attachment;
  Issuer issuer;
};

// The number by which this thread knows a region that it holds from now on.
inline Napi::Value hold(const Napi::CallbackInfo& info, std::shared_ptr<Region> region) {
  const uint64_t number = Environment::of(info.Env()).handles.add(std::make_unique<HeldRegion>(std::move(region)));
  return Napi::Number::New(info.Env(), static_cast<double>(number));
}

// The region that is argument 0.
inline HeldRegion* regionAt(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).handles.find<HeldRegion>(handleAt(info, 0));
}

// An access of `length` bytes at the offset that is argument 1, to the region that is argument 0. `issue` makes it.
template <class Issue>
Status access(const Napi::CallbackInfo& info, uint64_t length, Issue&& issue) {
  Environment& environment = Environment::of(info.Env());
  HeldRegion* held = environment.handles.find<HeldRegion>(handleAt(info, 0));
  Failure failure;
  uint64_t offset = 0;
  if (held == nullptr) return environment.answers.put(Status::closed, failure);
  held->attachment.counters().crossings.add(1);
  if (!offsetAt(info, 1, offset) || !held->attachment.region().contains(offset, length)) {
    return environment.answers.put(Status::outOfRange, failure);
  }
  const Status status = issue(*held, offset, failure);
  return status == Status::ok ? status : environment.answers.put(status, failure);
}

}  // namespace ismio::binding
