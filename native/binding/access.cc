// Accesses to a region, as src/region makes them. Each answers a status, and leaves the details of a failure in the
// environment's answers.
#include <algorithm>
#include <vector>

#include "binding/exports.h"
#include "binding/held_region.h"
#include "binding/worker_lookout.h"

namespace ismio::binding {
namespace {

// Of an access that is asked for in the request (wire.h): no argument is looked at, since to look at one costs as much
// as the access.
template <class Issue>
Status requested(Environment& environment, uint64_t width, Issue&& issue) {
  const Answers& answers = environment.answers;
  uint64_t number = 0;
  uint64_t offset = 0;
  Failure failure;
  HeldRegion* held =
      wholeIn(answers.requested(wire::kRegion), number) ? environment.handles.find<HeldRegion>(number) : nullptr;
  if (held == nullptr) return environment.answers.put(Status::closed, failure);
  held->attachment.counters().crossings.add(1);
  if (!wholeIn(answers.requested(wire::kPlace), offset) || !held->attachment.region().contains(offset, width)) {
    return environment.answers.put(Status::outOfRange, failure);
  }
  const Status status = offset % width != 0 ? Status::misaligned : issue(held->issuer, offset, failure);
  return status == Status::ok ? status : environment.answers.put(status, failure);
}

// The bytes of an access, where JavaScript may run before that has ended: then they are the access's own. A handler may
// detach the memory that they come from, or go to, or make it shorter.
class Moved {
 public:
  Moved(const HeldRegion& held, bool stores, uint64_t offset, const Bytes& bytes) : bytes_(bytes) {
    const Backend& backend = held.attachment.region().backend();
    if (bytes.data == nullptr || !backend.mayRunScript(stores, offset, bytes.length)) return;
    own_.assign(bytes.data, bytes.data + bytes.length);
    bytes_.data = own_.data();
  }
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;

  uint8_t* data() const { return bytes_.data; }
  // The first `length` of them were loaded: what is left of argument 2 gets them.
  void loaded(const Napi::CallbackInfo& info, uint64_t length) const {
    if (own_.empty()) return;
    const Bytes into = bytesAt(info, 2);
    std::copy_n(own_.begin(), least(length, into.length), into.data);  // a device's
  }

 private:
  Bytes bytes_;
  std::vector<uint8_t> own_;
};

napi_value told(napi_env env, Status status) {
  napi_value number = nullptr;
  if (status != Status::ok) napi_create_uint32(env, static_cast<uint32_t>(status), &number);
  return number;
}

// load<width>() -> status. What was loaded is in the request, in the order of the addresses.
template <uint32_t width>
napi_value load(napi_env env, napi_callback_info) {
  Environment& environment = Environment::of(env);
  return told(env, requested(environment, width, [&](Issuer& issuer, uint64_t offset, Failure& failure) {
                return issuer.load(offset, environment.answers.bytesMoved(), width, failure);
              }));
}

// store<width>() -> status. Stores what is in the request, in the order of the addresses.
template <uint32_t width>
napi_value store(napi_env env, napi_callback_info) {
  Environment& environment = Environment::of(env);
  return told(env, requested(environment, width, [&](Issuer& issuer, uint64_t offset, Failure& failure) {
                return issuer.store(offset, environment.answers.bytesMoved(), width, failure);
              }));
}

// storeBlock(region, offset, source) -> status
Napi::Value storeBlock(const Napi::CallbackInfo& info) {
  const Bytes source = bytesAt(info, 2);
  return status(info, access(info, source.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  // A length past 32 bits breaks every rule of length just as the longest one does.
                  const auto length = static_cast<uint32_t>(least(source.length, UINT32_MAX));
                  return held.issuer.storeBlock(offset, Moved(held, true, offset, source).data(), length, failure);
                }));
}

// write(region, offset, source) -> status
Napi::Value write(const Napi::CallbackInfo& info) {
  const Bytes source = bytesAt(info, 2);
  return status(info, access(info, source.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  const EndingEarly ending(Environment::of(info.Env()), held.issuer);
                  return held.issuer.write(offset, Moved(held, true, offset, source).data(), source.length, failure);
                }));
}

// read(region, offset, target) -> status
Napi::Value read(const Napi::CallbackInfo& info) {
  const Bytes target = bytesAt(info, 2);
  return status(info, access(info, target.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  const EndingEarly ending(Environment::of(info.Env()), held.issuer);
                  const Moved moved(held, false, offset, target);
                  const Status ended = held.issuer.read(offset, moved.data(), target.length, failure);
                  moved.loaded(info, ended == Status::ok ? target.length : failure.done);
                  return ended;
                }));
}

// fence(region, purpose) -> status
Napi::Value fence(const Napi::CallbackInfo& info) {
  HeldRegion* held = regionAt(info);
  if (held == nullptr || held->attachment.region().closed()) return status(info, Status::closed);
  held->attachment.counters().crossings.add(1);
  held->issuer.fence(static_cast<Fence>(least(wordAt(info, 1), kFences - 1)));
  return status(info, Status::ok);
}

// Without node-addon-api's wrapper, which looks the arguments up.
void exportNarrow(Napi::Env env, Napi::Object exports, const char* name, napi_callback access) {
  napi_value function = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, access, nullptr, &function) == napi_ok) {
    exports.Set(name, Napi::Value(env, function));
  }
}

}  // namespace

void exportAccesses(Napi::Env env, Napi::Object exports) {
  exportNarrow(env, exports, "load8", load<1>);
  exportNarrow(env, exports, "load16", load<2>);
  exportNarrow(env, exports, "load32", load<4>);
  exportNarrow(env, exports, "load64", load<8>);
  exportNarrow(env, exports, "store8", store<1>);
  exportNarrow(env, exports, "store16", store<2>);
  exportNarrow(env, exports, "store32", store<4>);
  exportNarrow(env, exports, "store64", store<8>);
  exportFunction<storeBlock>(env, exports, "storeBlock");
  exportFunction<write>(env, exports, "write");
  exportFunction<read>(env, exports, "read");
  exportFunction<fence>(env, exports, "fence");
}

}  // namespace ismio::binding
