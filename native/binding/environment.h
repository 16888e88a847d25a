// What one JavaScript thread holds: its regions and queues, by small numbers, and the array in which answers come back.
//
// Nothing in here is seen by another thread, so nothing is locked. A number is used by src/ only; it carries a
// generation, so that a stale one finds nothing.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "exec/executor.h"
#include "exec/issuer.h"
#include "region/region.h"
#include "wire/wire.h"

namespace ismio::binding {

template <class Thing>
class Slots {
 public:
  uint32_t add(std::unique_ptr<Thing> thing) {
    if (free_.empty()) {
      slots_.push_back({});
      free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    slots_[index].thing = std::move(thing);
    return slots_[index].generation << kIndexBits | index;
  }

  Thing* find(uint32_t number) const {
    const uint32_t index = number & kIndexMask;
    if (index >= slots_.size() || slots_[index].generation != number >> kIndexBits) return nullptr;
    return slots_[index].thing.get();
  }

  std::unique_ptr<Thing> remove(uint32_t number) {
    if (find(number) == nullptr) return nullptr;
    Slot& slot = slots_[number & kIndexMask];
    slot.generation = (slot.generation + 1) & (UINT32_MAX >> kIndexBits);
    free_.push_back(number & kIndexMask);
    return std::move(slot.thing);
  }

 private:
  static constexpr uint32_t kIndexBits = 20;
  static constexpr uint32_t kIndexMask = (1u << kIndexBits) - 1;
  struct Slot {
    std::unique_ptr<Thing> thing;
    uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

struct HeldRegion {
  explicit HeldRegion(std::shared_ptr<Region> region) : attachment(std::move(region)), issuer(attachment) {}
  const Attachment attachment;
  Issuer issuer;
};

class HeldQueue;

// A Signal is gone some time after it was closed, so it is held by a number that then finds nothing.
class Signal;
struct HeldSignal {
  Signal* signal;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  // False on a thread that is being terminated, or has no memory left: nothing may be called then.
  bool ready() const { return shared_ != nullptr; }

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Slots<HeldRegion> regions;
  Slots<HeldQueue> queues;
  Slots<HeldSignal> signals;

  Napi::Value answers() const { return answers_.Value(); }
  // Writes what happened into the answers and returns its status, which is what the call answers.
  Status answer(Status status, const Failure& failure);
  Status answer(const Report& report);

 private:
  double* shared_ = nullptr;  // the words of answers_
  Napi::Reference<Napi::ArrayBuffer> answers_;
};

// The share that each file of this folder has in the export list.
void exportRegions(Napi::Env env, Napi::Object exports);
void exportShards(Napi::Env env, Napi::Object exports);
void exportQueues(Napi::Env env, Napi::Object exports);
void exportMemory(Napi::Env env, Napi::Object exports);
void exportInfo(Napi::Env env, Napi::Object exports);
void exportSeals(Napi::Env env, Napi::Object exports);
void exportSignals(Napi::Env env, Napi::Object exports);
void exportVfio(Napi::Env env, Napi::Object exports);

// After a call from the event loop into JavaScript: what it threw is an uncaught exception, as of any other callback of
// the event loop. Left with Node-API, it would be dropped, or thrown by the next native call.
void tellUncaught(Napi::Env env);

// The number by which this thread knows a region that it holds from now on.
Napi::Value hold(const Napi::CallbackInfo& info, std::shared_ptr<Region> region);

// An ArrayBuffer over this memory, which lives at least as long. Empty when Node.js refuses to make one.
Napi::Value viewOf(Napi::Env env, const std::shared_ptr<Memory>& memory);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void exportFunction(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

// Arguments. src/ has checked them; these take what is there, and anything else becomes a value that fits nowhere.
inline double numberAt(const Napi::CallbackInfo& info, size_t index) {
  double number = -1;
  return napi_get_value_double(info.Env(), info[index], &number) == napi_ok ? number : -1;
}
inline uint32_t wordAt(const Napi::CallbackInfo& info, size_t index) {
  uint32_t word = UINT32_MAX;
  return napi_get_value_uint32(info.Env(), info[index], &word) == napi_ok ? word : UINT32_MAX;
}
inline bool flagAt(const Napi::CallbackInfo& info, size_t index) {
  bool flag = false;
  return napi_get_value_bool(info.Env(), info[index], &flag) == napi_ok && flag;
}
// False for anything but a whole number in [0, 2^53).
inline bool offsetAt(const Napi::CallbackInfo& info, size_t index, uint64_t& offset) {
  const double number = numberAt(info, index);
  if (!(number >= 0 && number < 0x1p53)) return false;
  offset = static_cast<uint64_t>(number);
  return static_cast<double>(offset) == number;
}
// Of a string. (A conversion would run JavaScript, which a thread that is being terminated cannot.)
inline std::string textAt(const Napi::CallbackInfo& info, size_t index) {
  size_t length = 0;
  if (napi_get_value_string_utf8(info.Env(), info[index], nullptr, 0, &length) != napi_ok) return {};
  std::string text(length, '\0');
  napi_get_value_string_utf8(info.Env(), info[index], text.data(), length + 1, &length);
  return text;
}

// The rules are so many arguments from `first` on: maxStoreBlock, boundary, strict, mergeable, singleStores.
inline constexpr size_t kRuleArguments = 5;
inline Rules rulesAt(const Napi::CallbackInfo& info, size_t first) {
  return {wordAt(info, first), wordAt(info, first + 1),
          flagAt(info, first + 2) ? Alignment::strict : Alignment::relaxed, flagAt(info, first + 3),
          flagAt(info, first + 4)};
}

// What a call answers: undefined when all went well (the cheapest value to make), else the status.
inline Napi::Value status(const Napi::CallbackInfo& info, Status status) {
  return status == Status::ok ? Napi::Value() : Napi::Number::New(info.Env(), static_cast<double>(status));
}

inline HeldRegion* regionAt(const Napi::CallbackInfo& info) {
  return Environment::of(info.Env()).regions.find(wordAt(info, 0));
}

// An access of `length` bytes at the offset that is argument 1, to the region that is argument 0. `issue` makes it.
template <class Issue>
Status access(const Napi::CallbackInfo& info, uint64_t length, Issue&& issue) {
  Environment& environment = Environment::of(info.Env());
  HeldRegion* held = environment.regions.find(wordAt(info, 0));
  Failure failure;
  uint64_t offset = 0;
  if (held == nullptr) return environment.answer(Status::closed, failure);
  held->attachment.counters().crossings.add(1);
  if (!offsetAt(info, 1, offset) || !held->attachment.region().contains(offset, length)) {
    return environment.answer(Status::outOfRange, failure);
  }
  const Status status = issue(*held, offset, failure);
  return status == Status::ok ? status : environment.answer(status, failure);
}

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};
// The bytes of a Uint8Array; none for what is no typed array, and for a detached one. (Of another typed array it would
// be the first as many bytes as it has elements; to ask for the type would cost more than all the rest.)
inline Bytes bytesAt(const Napi::CallbackInfo& info, size_t index) {
  Bytes bytes;
  void* data = nullptr;
  if (napi_get_typedarray_info(info.Env(), info[index], nullptr, &bytes.length, &data, nullptr, nullptr) != napi_ok) {
    return {};
  }
  bytes.data = static_cast<uint8_t*>(data);
  return bytes;
}

}  // namespace ismio::binding
