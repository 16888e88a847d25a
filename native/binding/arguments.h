// Arguments of a call. src/ has checked them; these take what is there, and anything else becomes a value that fits
// nowhere.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

#include "access/rules.h"

namespace ismio::binding {

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
inline bool wholeIn(double number, uint64_t& whole) {
  if (!(number >= 0 && number < 0x1p53)) return false;
  const auto exact = static_cast<int64_t>(number);  // one instruction; to an unsigned one it is a dozen
  whole = static_cast<uint64_t>(exact);
  return static_cast<double>(exact) == number;
}

inline bool offsetAt(const Napi::CallbackInfo& info, size_t index, uint64_t& offset) {
  return wholeIn(numberAt(info, index), offset);
}

// The number of a thing in the environment's table; 0, which is nobody's, for what is no number. (As a signed one,
// because V8 hands a small one over without a conversion. Others that are no such number fit nothing in the table.)
inline uint64_t handleAt(const Napi::CallbackInfo& info, size_t index) {
  int64_t number = 0;
  return napi_get_value_int64(info.Env(), info[index], &number) == napi_ok ? static_cast<uint64_t>(number) : 0;
}

// Offsets in a device's file and addresses of its bus lie past 2^53, so they are bigints.
inline uint64_t wideAt(const Napi::CallbackInfo& info, size_t index) {
  uint64_t value = UINT64_MAX;
  bool lossless = false;
  return napi_get_value_bigint_uint64(info.Env(), info[index], &value, &lossless) == napi_ok && lossless ? value
                                                                                                         : UINT64_MAX;
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
