// The floors: what a plain C++ program, or a plain Node-API addon, does with the same mapping. Nothing of the engine is
// used here but the device-safe kernels, which are what such a loop would have to be written with.
#include <napi.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <cstring>

#include "insn/mmio.h"
#include "processes.h"
#include "shared_ring.h"

namespace {

uint8_t* window = nullptr;
int file = -1;
size_t windowBytes = 0;

// What the loops read or write on the other side of the window, and what keeps it alive.
uint8_t* memory = nullptr;
size_t memoryBytes = 0;
Napi::Reference<Napi::Uint8Array> kept;

// open(path, bytes): maps the file as the window
Napi::Value open(const Napi::CallbackInfo& info) {
  file = ::open(info[0].ToString().Utf8Value().c_str(), O_RDWR | O_CLOEXEC);
  windowBytes = static_cast<size_t>(info[1].ToNumber().Int64Value());
  void* mapped = mmap(nullptr, windowBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) return Napi::Boolean::New(info.Env(), false);
  window = static_cast<uint8_t*>(mapped);
  return Napi::Boolean::New(info.Env(), true);
}

// use(array): the memory of the loops
Napi::Value use(const Napi::CallbackInfo& info) {
  auto array = info[0].As<Napi::Uint8Array>();
  kept = Napi::Persistent(array);
  kept.SuppressDestruct();
  memory = array.Data();
  memoryBytes = array.ByteLength();
  return info.Env().Undefined();
}

// Words of a device are little-endian, as the engine stores and loads them.
uint64_t little(uint64_t value) {
  if constexpr (std::endian::native == std::endian::big) return __builtin_bswap64(value);
  return value;
}

uint32_t little(uint32_t value) {
  if constexpr (std::endian::native == std::endian::big) return __builtin_bswap32(value);
  return value;
}

// empty(): one plain Node-API call that does nothing
napi_value empty(napi_env, napi_callback_info) { return nullptr; }

// store(offset, low, high): one plain Node-API call that makes one 8-byte store
Napi::Value store(const Napi::CallbackInfo& info) {
  double offset = 0;
  uint32_t low = 0;
  uint32_t high = 0;
  napi_get_value_double(info.Env(), info[0], &offset);
  napi_get_value_uint32(info.Env(), info[1], &low);
  napi_get_value_uint32(info.Env(), info[2], &high);
  const uint64_t value = little(static_cast<uint64_t>(high) << 32 | low);
  if (offset < 0 || offset + 8 > static_cast<double>(windowBytes)) return info.Env().Undefined();
  *reinterpret_cast<volatile uint64_t*>(window + static_cast<size_t>(offset)) = value;
  return info.Env().Undefined();
}

// storeWord(offset, value): the same of 4 bytes
Napi::Value storeWord(const Napi::CallbackInfo& info) {
  double offset = 0;
  uint32_t value = 0;
  napi_get_value_double(info.Env(), info[0], &offset);
  napi_get_value_uint32(info.Env(), info[1], &value);
  if (offset < 0 || offset + 4 > static_cast<double>(windowBytes)) return info.Env().Undefined();
  *reinterpret_cast<volatile uint32_t*>(window + static_cast<size_t>(offset)) = little(value);
  return info.Env().Undefined();
}

// loadWord(offset): one plain Node-API call that makes one 4-byte load
Napi::Value loadWord(const Napi::CallbackInfo& info) {
  double offset = 0;
  napi_get_value_double(info.Env(), info[0], &offset);
  if (offset < 0 || offset + 4 > static_cast<double>(windowBytes)) return info.Env().Undefined();
  const uint32_t value = *reinterpret_cast<volatile uint32_t*>(window + static_cast<size_t>(offset));
  return Napi::Number::New(info.Env(), little(value));
}

// storeBigInt(offset, value): the same with the value as JavaScript has it, a BigInt
Napi::Value storeBigInt(const Napi::CallbackInfo& info) {
  double offset = 0;
  uint64_t value = 0;
  bool lossless = false;
  napi_get_value_double(info.Env(), info[0], &offset);
  napi_get_value_bigint_uint64(info.Env(), info[1], &value, &lossless);
  if (offset < 0 || offset + 8 > static_cast<double>(windowBytes)) return info.Env().Undefined();
  *reinterpret_cast<volatile uint64_t*>(window + static_cast<size_t>(offset)) = little(value);
  return info.Env().Undefined();
}

// loadBigInt(offset): one plain Node-API call that makes one 8-byte load
Napi::Value loadBigInt(const Napi::CallbackInfo& info) {
  double offset = 0;
  napi_get_value_double(info.Env(), info[0], &offset);
  if (offset < 0 || offset + 8 > static_cast<double>(windowBytes)) return info.Env().Undefined();
  const uint64_t value = *reinterpret_cast<volatile uint64_t*>(window + static_cast<size_t>(offset));
  return Napi::BigInt::New(info.Env(), little(value));
}

// pwriteBigInt(offset, value), preadBigInt(offset): the same by a system call for each
Napi::Value pwriteBigInt(const Napi::CallbackInfo& info) {
  double offset = 0;
  uint64_t value = 0;
  bool lossless = false;
  napi_get_value_double(info.Env(), info[0], &offset);
  napi_get_value_bigint_uint64(info.Env(), info[1], &value, &lossless);
  value = little(value);
  if (pwrite(file, &value, 8, static_cast<off_t>(offset)) != 8) std::abort();
  return info.Env().Undefined();
}

Napi::Value preadBigInt(const Napi::CallbackInfo& info) {
  double offset = 0;
  uint64_t value = 0;
  napi_get_value_double(info.Env(), info[0], &offset);
  if (pread(file, &value, 8, static_cast<off_t>(offset)) != 8) std::abort();
  return Napi::BigInt::New(info.Env(), little(value));
}

using Block = void (*)(uint8_t* device, uint8_t* ordinary, size_t bytes);

void copyBlock(uint8_t* device, uint8_t* ordinary, size_t bytes) { std::memcpy(device, ordinary, bytes); }

void copyBack(uint8_t* device, uint8_t* ordinary, size_t bytes) { std::memcpy(ordinary, device, bytes); }

void deviceBlock(uint8_t* device, uint8_t* ordinary, size_t bytes) {
  ismio::Failure failure;
  ismio::kernels().mapped->storeBlock(device, ordinary, static_cast<uint32_t>(bytes), failure);
}

void burstBlock(uint8_t* device, uint8_t* ordinary, size_t bytes) {
  ismio::Failure failure;
  ismio::kernels().burst->storeBlock(device, ordinary, static_cast<uint32_t>(bytes), failure);
}

void pwriteBlock(uint8_t* device, uint8_t* ordinary, size_t bytes) {
  if (pwrite(file, ordinary, bytes, device - window) != static_cast<ssize_t>(bytes)) std::abort();
}

void preadBlock(uint8_t* device, uint8_t* ordinary, size_t bytes) {
  if (pread(file, ordinary, bytes, device - window) != static_cast<ssize_t>(bytes)) std::abort();
}

// The loop that anybody would write: one 8-byte load after the other.
void loadBlock(uint8_t* device, uint8_t* ordinary, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t word = *reinterpret_cast<volatile uint64_t*>(device + i);
    std::memcpy(ordinary + i, &word, 8);
  }
}

// loop(blocks, bytes of each, offset of the first, distance from each to the next): goes round its memory
template <Block block>
Napi::Value loop(const Napi::CallbackInfo& info) {
  const auto number = [&info](size_t index) { return static_cast<size_t>(info[index].ToNumber().Int64Value()); };
  const size_t blocks = number(0);
  const size_t bytes = number(1);
  const size_t first = number(2);
  const size_t distance = number(3);
  if (bytes > memoryBytes || first + (blocks - 1) * distance + bytes > windowBytes) {
    Napi::RangeError::New(info.Env(), "the blocks lie outside").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  size_t at = 0;
  for (size_t i = 0; i < blocks; i++) {
    block(window + first + i * distance, memory + at, bytes);
    at += bytes;
    if (at + bytes > memoryBytes) at = 0;
  }
  return info.Env().Undefined();
}

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void add(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(env, name));
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  napi_value nothing = nullptr;
  napi_create_function(env, "empty", NAPI_AUTO_LENGTH, empty, nullptr, &nothing);
  exports.Set("empty", nothing);
  add<open>(env, exports, "open");
  add<use>(env, exports, "use");
  add<store>(env, exports, "store");
  add<storeWord>(env, exports, "storeWord");
  add<loadWord>(env, exports, "loadWord");
  add<storeBigInt>(env, exports, "storeBigInt");
  add<loadBigInt>(env, exports, "loadBigInt");
  add<pwriteBigInt>(env, exports, "pwriteBigInt");
  add<preadBigInt>(env, exports, "preadBigInt");
  add<loop<copyBlock>>(env, exports, "copyLoop");
  add<loop<copyBack>>(env, exports, "copyBackLoop");
  add<loop<deviceBlock>>(env, exports, "storeLoop");
  if (ismio::kernels().burst != nullptr) add<loop<burstBlock>>(env, exports, "burstLoop");
  add<loop<loadBlock>>(env, exports, "loadLoop");
  add<loop<pwriteBlock>>(env, exports, "pwriteLoop");
  add<loop<preadBlock>>(env, exports, "preadLoop");
  ismio::bench::addProcesses(env, exports);
  ismio::bench::addSharedRing(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(ismio_floors, start)
