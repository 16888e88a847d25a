// Accesses to a region, as src/region makes them. Each answers a status, and leaves the details of a failure in the
// environment's answers.
#include "binding/exports.h"
#include "binding/held_region.h"
#include "binding/worker_lookout.h"

namespace ismio::binding {
namespace {

template <class Access>
Status narrowAccess(const Napi::CallbackInfo& info, uint64_t width, Access&& issue) {
  return access(info, width, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
    return offset % width != 0 ? Status::misaligned : issue(held.issuer, offset, failure);
  });
}

template <class Word>
Word fromBytes(const uint8_t* bytes, bool bigEndian) {
  Word value = 0;
  for (size_t i = 0; i < sizeof(Word); i++) {
    const size_t place = bigEndian ? sizeof(Word) - 1 - i : i;
    value = static_cast<Word>(value | static_cast<Word>(bytes[i]) << (8 * place));
  }
  return value;
}

template <class Word>
void toBytes(Word value, uint8_t* bytes, bool bigEndian) {
  for (size_t i = 0; i < sizeof(Word); i++) {
    const size_t place = bigEndian ? sizeof(Word) - 1 - i : i;
    bytes[i] = static_cast<uint8_t>(value >> (8 * place));
  }
}

// load<Word>(region, offset, bigEndian) -> number | bigint | undefined
template <class Word>
Napi::Value load(const Napi::CallbackInfo& info) {
  uint8_t bytes[sizeof(Word)];
  const Status status = narrowAccess(info, sizeof(Word), [&](Issuer& issuer, uint64_t offset, Failure& failure) {
    return issuer.load(offset, bytes, sizeof(Word), failure);
  });
  if (status != Status::ok) return info.Env().Undefined();
  const Word value = fromBytes<Word>(bytes, flagAt(info, 2));
  if constexpr (sizeof(Word) == 8) {
    return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(value));
  } else {
    return Napi::Number::New(info.Env(), value);
  }
}

// store<Word>(region, offset, value, bigEndian) -> status
template <class Word>
Napi::Value store(const Napi::CallbackInfo& info) {
  Word value;
  if constexpr (sizeof(Word) == 8) {
    bool lossless = false;
    if (napi_get_value_bigint_uint64(info.Env(), info[2], &value, &lossless) != napi_ok) value = 0;
  } else {
    value = static_cast<Word>(wordAt(info, 2));
  }
  uint8_t bytes[sizeof(Word)];
  toBytes(value, bytes, flagAt(info, 3));
  return status(info, narrowAccess(info, sizeof(Word), [&](Issuer& issuer, uint64_t offset, Failure& failure) {
                  return issuer.store(offset, bytes, sizeof(Word), failure);
                }));
}

// storeBlock(region, offset, source) -> status
Napi::Value storeBlock(const Napi::CallbackInfo& info) {
  const Bytes source = bytesAt(info, 2);
  return status(info, access(info, source.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  // A length past 32 bits breaks every rule of length just as the longest one does.
                  const auto length = static_cast<uint32_t>(least(source.length, UINT32_MAX));
                  return held.issuer.storeBlock(offset, source.data, length, failure);
                }));
}

// write(region, offset, source) -> status
Napi::Value write(const Napi::CallbackInfo& info) {
  const Bytes source = bytesAt(info, 2);
  return status(info, access(info, source.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  const EndingEarly ending(Environment::of(info.Env()), held.issuer);
                  return held.issuer.write(offset, source.data, source.length, failure);
                }));
}

// read(region, offset, target) -> status
Napi::Value read(const Napi::CallbackInfo& info) {
  const Bytes target = bytesAt(info, 2);
  return status(info, access(info, target.length, [&](HeldRegion& held, uint64_t offset, Failure& failure) {
                  const EndingEarly ending(Environment::of(info.Env()), held.issuer);
                  return held.issuer.read(offset, target.data, target.length, failure);
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

}  // namespace

void exportAccesses(Napi::Env env, Napi::Object exports) {
  exportFunction<load<uint8_t>>(env, exports, "load8");
  exportFunction<load<uint16_t>>(env, exports, "load16");
  exportFunction<load<uint32_t>>(env, exports, "load32");
  exportFunction<load<uint64_t>>(env, exports, "load64");
  exportFunction<store<uint8_t>>(env, exports, "store8");
  exportFunction<store<uint16_t>>(env, exports, "store16");
  exportFunction<store<uint32_t>>(env, exports, "store32");
  exportFunction<store<uint64_t>>(env, exports, "store64");
  exportFunction<storeBlock>(env, exports, "storeBlock");
  exportFunction<write>(env, exports, "write");
  exportFunction<read>(env, exports, "read");
  exportFunction<fence>(env, exports, "fence");
}

}  // namespace ismio::binding
